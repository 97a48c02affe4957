package client

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/gregor-mq/gregor/tools/internal/clientconf"
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// securityOptions maps security.protocol and the ssl. and sasl. properties that it needs.
func securityOptions(config *clientconf.Config) ([]kgo.Opt, error) {
	var options []kgo.Opt
	protocol := strings.ToUpper(config.String("security.protocol"))
	if strings.HasSuffix(protocol, "SSL") {
		settings, err := tlsConfig(config)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.Dialer(nil), kgo.DialTLSConfig(settings))
	}
	if strings.HasPrefix(protocol, "SASL_") {
		mechanism, err := saslMechanism(config)
		if err != nil {
			return nil, err
		}
		options = append(options, kgo.SASL(mechanism))
	}
	return options, nil
}

// unsupported says which property asks for what gregorctl cannot do, and what to use instead.
func unsupported(name, value, instead string) error {
	return throwable.Newf(throwable.Config, "%s=%s is not supported by gregorctl: %s", name, value, instead)
}

// TLSConfig returns the settings that the ssl. properties of a client stand for.
func TLSConfig(properties clientconf.Properties) (*tls.Config, error) {
	config, err := clientconf.New(clientconf.Admin, properties)
	if err != nil {
		return nil, err
	}
	return tlsConfig(config)
}

// tlsConfig reads the PEM forms of the ssl. properties (KIP-651).
func tlsConfig(config *clientconf.Config) (*tls.Config, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if config.String("ssl.endpoint.identification.algorithm") == "" {
		settings.InsecureSkipVerify = true // the host name only: the certificate is verified below
		settings.VerifyConnection = func(state tls.ConnectionState) error { return verifyChain(state, settings.RootCAs) }
	}
	trusted := []byte(config.String("ssl.truststore.certificates"))
	if file := config.String("ssl.truststore.location"); file != "" {
		if kind := config.String("ssl.truststore.type"); kind != "PEM" {
			return nil, unsupported("ssl.truststore.type", kind, "use PEM and a file of certificates")
		}
		var err error
		if trusted, err = os.ReadFile(file); err != nil {
			return nil, err
		}
	}
	if len(trusted) > 0 {
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(trusted) {
			return nil, throwable.New(throwable.Config, "ssl.truststore holds no PEM certificate")
		}
	}
	return settings, addKeyPair(settings, config)
}

// verifyChain checks that the server's certificate is signed by one of roots, whatever its name.
func verifyChain(state tls.ConnectionState, roots *x509.CertPool) error {
	intermediates := x509.NewCertPool()
	for _, certificate := range state.PeerCertificates[1:] {
		intermediates.AddCert(certificate)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates})
	return err
}

// addKeyPair adds the client's own certificate, if it has one.
func addKeyPair(settings *tls.Config, config *clientconf.Config) error {
	chain, key := []byte(config.String("ssl.keystore.certificate.chain")), []byte(config.String("ssl.keystore.key"))
	if file := config.String("ssl.keystore.location"); file != "" {
		if kind := config.String("ssl.keystore.type"); kind != "PEM" {
			return unsupported("ssl.keystore.type", kind, "use PEM and a file with the certificate chain and its key")
		}
		both, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		chain, key = both, both
	}
	if len(chain) == 0 {
		return nil
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return throwable.New(throwable.Config, "ssl.keystore: "+err.Error())
	}
	settings.Certificates = []tls.Certificate{pair}
	return nil
}

var jaasOption = regexp.MustCompile(`(\w+)\s*=\s*"([^"]*)"`)

// saslMechanism reads sasl.mechanism, and user and password out of sasl.jaas.config.
func saslMechanism(config *clientconf.Config) (sasl.Mechanism, error) {
	if config.String("sasl.jaas.config") == "" {
		return nil, throwable.New(throwable.IllegalArgument, "Could not find a 'KafkaClient' entry in the JAAS configuration. System "+
			"property 'java.security.auth.login.config' is not set")
	}
	var user, password string
	for _, match := range jaasOption.FindAllStringSubmatch(config.String("sasl.jaas.config"), -1) {
		switch match[1] {
		case "username":
			user = match[2]
		case "password":
			password = match[2]
		}
	}
	mechanism := config.String("sasl.mechanism")
	if user == "" {
		return nil, throwable.New(throwable.Config, `sasl.jaas.config has no username="...": it is needed for sasl.mechanism=`+mechanism)
	}
	switch mechanism {
	case "PLAIN":
		return plain.Auth{User: user, Pass: password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism(), nil
	}
	return nil, unsupported("sasl.mechanism", mechanism, "use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512")
}
