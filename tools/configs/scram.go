package configs

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

const (
	defaultIterations = 4096
	minIterations     = 4096
)

// scramMechanism is one of the mechanisms of SCRAM (RFC 5802, KIP-84).
type scramMechanism struct {
	name, constant string // as it is configured, and as Java's constant is called
	number         int8   // in the protocol
	hash           func() hash.Hash
	size           int
}

var mechanisms = []scramMechanism{
	{"SCRAM-SHA-256", "SCRAM_SHA_256", 1, sha256.New, sha256.Size},
	{"SCRAM-SHA-512", "SCRAM_SHA_512", 2, sha512.New, sha512.Size},
}

// mechanism returns the mechanism with a name, nil if there is none.
func mechanism(name string) *scramMechanism {
	if i := slices.IndexFunc(mechanisms, func(m scramMechanism) bool { return m.name == name }); i >= 0 {
		return &mechanisms[i]
	}
	return nil
}

// The two ways to write a credential: only a broker takes -1 for the default.
var (
	credentialToBroker    = regexp.MustCompile(`^(?:iterations=(-?[0-9]*),)?password=(.*)$`)
	credentialToZooKeeper = regexp.MustCompile(`^(?:iterations=([0-9]*),)?password=(.*)$`)
)

// credential is how often a password is hashed with what salt.
type credential struct {
	password   string
	salt       []byte
	iterations int
}

// newCredential reads [iterations=N,]password=P, with a salt of its own. shown is how a message names the
// mechanism with too few iterations.
func (m *scramMechanism) newCredential(text string, pattern *regexp.Regexp, shown string) (*credential, error) {
	match := pattern.FindStringSubmatchIndex(text)
	if match == nil {
		return nil, illegal("Invalid credential property %s=%s", m.constant, text)
	}
	c := &credential{password: text[match[4]:match[5]], salt: newSalt(), iterations: defaultIterations}
	if match[2] >= 0 && text[match[2]:match[3]] != "-1" {
		number := text[match[2]:match[3]]
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil {
			return nil, throwable.New(throwable.NumberFormat, `For input string: "`+number+`"`)
		}
		c.iterations = int(n)
	}
	if c.iterations < minIterations {
		return nil, illegal("Iterations %d is less than the minimum %d required for %s", c.iterations, minIterations, shown)
	}
	return c, nil
}

// newSalt returns 130 random bits as Kafka writes them, in the digits of base 36.
func newSalt() []byte {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 130))
	if err != nil {
		panic(err) // the system's source of randomness does not fail
	}
	return []byte(n.Text(36))
}

// salted returns the password as it is hashed, Hi(password, salt, iterations).
func (m *scramMechanism) salted(c *credential) ([]byte, error) {
	return pbkdf2.Key(m.hash, c.password, c.salt, c.iterations, m.size)
}

// stored returns what is kept of a credential in ZooKeeper (ScramCredentialUtils).
func (m *scramMechanism) stored(c *credential) (string, error) {
	salted, err := m.salted(c)
	if err != nil {
		return "", err
	}
	mac := func(text string) []byte {
		h := hmac.New(m.hash, salted)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	h := m.hash()
	h.Write(mac("Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("salt=%s,stored_key=%s,server_key=%s,iterations=%d", encode(c.salt), encode(h.Sum(nil)), encode(mac("Server Key")), c.iterations), nil
}

// alterCredentials sets and deletes the credentials of a user.
func (c *command) alterCredentials(ctx context.Context, user string, added map[string]string, deleted []string) error {
	req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
	for _, name := range deleted {
		req.Deletions = append(req.Deletions, kmsg.AlterUserSCRAMCredentialsRequestDeletion{Name: user, Mechanism: mechanism(name).number})
	}
	for _, name := range inOrder(added) {
		m := mechanism(name)
		credential, err := m.newCredential(added[name], credentialToBroker, m.name)
		if err != nil {
			return err
		}
		salted, err := m.salted(credential)
		if err != nil {
			return err
		}
		req.Upsertions = append(req.Upsertions, kmsg.AlterUserSCRAMCredentialsRequestUpsertion{Name: user, Mechanism: m.number,
			Iterations: int32(credential.iterations), Salt: credential.salt, SaltedPassword: salted})
	}
	ctx, cancel := context.WithTimeout(ctx, writePatience)
	defer cancel()
	resp, err := c.admin.Call(ctx, "alterUserScramCredentials", req)
	if err != nil {
		return failed(err)
	}
	for _, r := range resp.(*kmsg.AlterUserSCRAMCredentialsResponse).Results {
		if err := throwable.FromCode(r.ErrorCode, r.ErrorMessage); err != nil {
			return failed(err)
		}
	}
	return nil
}

// describeCredentials prints which credentials users have, if it is users alone that are described and not
// the default of all.
func (c *command) describeCredentials(ctx context.Context) error {
	if slices.Contains(c.types, clients) || c.hasDefault() {
		return nil
	}
	req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
	for _, name := range c.names {
		req.Users = append(req.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: name})
	}
	ctx, cancel := context.WithTimeout(ctx, readPatience)
	defer cancel()
	answer, err := c.admin.Call(ctx, "describeUserScramCredentials", req)
	if err != nil {
		return failed(err)
	}
	resp := answer.(*kmsg.DescribeUserSCRAMCredentialsResponse)
	if err := throwable.FromCode(resp.ErrorCode, resp.ErrorMessage); err != nil {
		return failed(err)
	}
	for _, r := range resp.Results {
		err := throwable.FromCode(r.ErrorCode, r.ErrorMessage)
		switch {
		case throwable.Code(err) == kerr.ResourceNotFound.Code:
		case err != nil:
			fmt.Fprintf(c.env.Stdout, "Error retrieving SCRAM credential configs for user-principal '%s': ExecutionException: %s\n", r.User, throwable.String(err))
		default:
			var texts []string
			for _, info := range r.CredentialInfos {
				name := "UNKNOWN"
				if i := slices.IndexFunc(mechanisms, func(m scramMechanism) bool { return m.number == info.Mechanism }); i >= 0 {
					name = mechanisms[i].name
				}
				texts = append(texts, fmt.Sprintf("%s=iterations=%d", name, info.Iterations))
			}
			fmt.Fprintf(c.env.Stdout, "SCRAM credential configs for user-principal '%s' are %s\n", r.User, strings.Join(texts, ", "))
		}
	}
	return nil
}
