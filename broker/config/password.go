package config

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"unicode/utf16"
)

// encoder encrypts the passwords that are kept in ZooKeeper (EncryptingPasswordEncoder). An encoded password
// says how it was encoded, so that only the secret must be the same to decode it:
//
//	keyFactoryAlgorithm:PBKDF2WithHmacSHA512,cipherAlgorithm:AES/CBC/PKCS5Padding,keyLength:128,salt:…,
//	iterations:4096,encryptedPassword:…,passwordLength:15,initializationVector:…
type encoder struct {
	secret     string
	keyFactory string
	cipher     string
	keyLength  int // in bits
	iterations int
}

// encoderWith returns the encoder that c asks for, with the secret of the named property, nil without one.
func (c *Config) encoderWith(secret string) *encoder {
	if !c.Has(secret) {
		return nil
	}
	e := &encoder{
		secret:     c.Text(secret),
		keyFactory: c.Text("password.encoder.keyfactory.algorithm"),
		cipher:     c.Text("password.encoder.cipher.algorithm"),
		keyLength:  c.Int("password.encoder.key.length"),
		iterations: c.Int("password.encoder.iterations"),
	}
	if e.keyFactory == "" {
		e.keyFactory = "PBKDF2WithHmacSHA512"
	}
	return e
}

var keyFactories = map[string]func() hash.Hash{
	"PBKDF2WithHmacSHA1": sha1.New, "PBKDF2WithHmacSHA224": sha256.New224, "PBKDF2WithHmacSHA256": sha256.New,
	"PBKDF2WithHmacSHA384": sha512.New384, "PBKDF2WithHmacSHA512": sha512.New,
}

const (
	saltSize      = 256
	gcmTagBits    = 128
	gcmNonce      = 12
	maxIterations = 1 << 22 // what ZooKeeper says must not keep the broker busy for minutes
)

// block returns the block cipher under the key that e derives.
func (e *encoder) block(salt []byte) (cipher.Block, error) {
	newHash, ok := keyFactories[e.keyFactory]
	switch {
	case !ok:
		return nil, fmt.Errorf("%s SecretKeyFactory not available", e.keyFactory)
	case !strings.HasPrefix(e.cipher, "AES/"):
		return nil, fmt.Errorf("cipher %s is not supported", e.cipher)
	case e.iterations < 1 || e.iterations > maxIterations:
		return nil, fmt.Errorf("%d iterations", e.iterations)
	case e.keyLength != 128 && e.keyLength != 192 && e.keyLength != 256: // or deriving the key would not end
		return nil, fmt.Errorf("a key of %d bits", e.keyLength)
	}
	key, err := pbkdf2.Key(newHash, e.secret, salt, e.iterations, e.keyLength/8)
	if err != nil {
		return nil, err
	}
	return aes.NewCipher(key)
}

// encode returns what is to be stored for password.
func (e *encoder) encode(password string) (string, error) {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	block, err := e.block(salt)
	if err != nil {
		return "", err
	}
	var iv, encrypted []byte
	var tag string
	switch e.cipher {
	case "AES/CBC/PKCS5Padding":
		iv = make([]byte, aes.BlockSize)
		rand.Read(iv)
		encrypted = pad([]byte(password))
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(encrypted, encrypted)
	case "AES/GCM/NoPadding":
		iv = make([]byte, gcmNonce)
		rand.Read(iv)
		sealer, err := cipher.NewGCM(block)
		if err != nil {
			return "", err
		}
		encrypted = sealer.Seal(nil, iv, []byte(password), nil)
		tag = ",authenticationTagLength:" + strconv.Itoa(gcmTagBits)
	default:
		return "", fmt.Errorf("cipher %s is not supported", e.cipher)
	}
	base64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("keyFactoryAlgorithm:%s,cipherAlgorithm:%s,keyLength:%d,salt:%s,iterations:%d,"+
		"encryptedPassword:%s,passwordLength:%d,initializationVector:%s%s",
		e.keyFactory, e.cipher, e.keyLength, base64(salt), e.iterations, base64(encrypted), javaLength(password), base64(iv), tag), nil
}

// errPassword hides why a password cannot be decoded from whoever might try.
var errPassword = errors.New("Password could not be decoded") //lint:ignore ST1005 Kafka's text

// decode returns the password in what was stored. Of e only the secret counts.
func (e *encoder) decode(text string) (string, error) {
	stored, problem := parsePairs("password", text)
	if problem != "" {
		return "", errPassword
	}
	by := &encoder{secret: e.secret, keyFactory: stored["keyFactoryAlgorithm"], cipher: stored["cipherAlgorithm"]}
	var length int
	var salt, iv, encrypted []byte
	for _, err := range []error{
		number32(stored["keyLength"], &by.keyLength), number32(stored["iterations"], &by.iterations), number32(stored["passwordLength"], &length),
		binary(stored["salt"], &salt), binary(stored["initializationVector"], &iv), binary(stored["encryptedPassword"], &encrypted),
	} {
		if err != nil {
			return "", errPassword
		}
	}
	password, err := by.decrypt(salt, iv, encrypted)
	if err != nil || javaLength(password) != length {
		return "", errPassword
	}
	return password, nil
}

func (e *encoder) decrypt(salt, iv, encrypted []byte) (string, error) {
	block, err := e.block(salt)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(e.cipher, "AES/GCM/") {
		if len(iv) == 0 {
			return "", errPassword
		}
		opener, err := cipher.NewGCMWithNonceSize(block, len(iv))
		if err != nil {
			return "", err
		}
		text, err := opener.Open(nil, iv, encrypted, nil)
		return string(text), err
	}
	if e.cipher != "AES/CBC/PKCS5Padding" || len(iv) != aes.BlockSize || len(encrypted) == 0 || len(encrypted)%aes.BlockSize != 0 {
		return "", errPassword
	}
	text := make([]byte, len(encrypted))
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, encrypted)
	text, ok := unpad(text)
	if !ok {
		return "", errPassword
	}
	return string(text), nil
}

// pad fills the last block as PKCS #5 does: with bytes that say how many they are.
func pad(text []byte) []byte {
	n := aes.BlockSize - len(text)%aes.BlockSize
	return append(text, bytes.Repeat([]byte{byte(n)}, n)...)
}

func unpad(text []byte) ([]byte, bool) {
	n := int(text[len(text)-1])
	if n < 1 || n > aes.BlockSize {
		return nil, false
	}
	rest := text[:len(text)-n]
	return rest, bytes.Equal(text[len(rest):], bytes.Repeat([]byte{byte(n)}, n))
}

// javaLength is String.length: in units of UTF-16.
func javaLength(s string) int { return len(utf16.Encode([]rune(s))) }

func number32(text string, n *int) error {
	parsed, err := strconv.ParseInt(text, 10, 32)
	*n = int(parsed)
	return err
}

func binary(text string, b *[]byte) (err error) {
	*b, err = base64.StdEncoding.DecodeString(text)
	return err
}
