package clientconf

import (
	"github.com/gregor-mq/gregor/tools/internal/throwable"
)

// The interfaces of classes that a client makes objects of.
const (
	MetricsReporter     = "org.apache.kafka.common.metrics.MetricsReporter"
	Partitioner         = "org.apache.kafka.clients.producer.Partitioner"
	ProducerInterceptor = "org.apache.kafka.clients.producer.ProducerInterceptor"
	ConsumerInterceptor = "org.apache.kafka.clients.consumer.ConsumerInterceptor"
)

// The partitioners that Kafka's producer has.
const (
	RoundRobinPartitioner    = "org.apache.kafka.clients.producer.RoundRobinPartitioner"
	UniformStickyPartitioner = "org.apache.kafka.clients.producer.UniformStickyPartitioner"
	DefaultPartitioner       = "org.apache.kafka.clients.producer.internals.DefaultPartitioner"
)

// class is what is known of a Java class.
type class struct {
	is       string // the interface that it is configured for; "" for another
	abstract bool   // no object can be made of it
}

// classes are the Java classes that a configuration can name: those of Kafka's own clients, and of Java's the one that all
// else is compared with. Others would be on the class path of a Java program and are nowhere here, which is reported as Kafka
// reports a class that is missing.
var classes = map[string]class{
	"java.lang.String":             {},
	MetricsReporter:                {abstract: true},
	Partitioner:                    {abstract: true},
	ProducerInterceptor:            {abstract: true},
	ConsumerInterceptor:            {abstract: true},
	RoundRobinPartitioner:          {is: Partitioner},
	UniformStickyPartitioner:       {is: Partitioner},
	DefaultPartitioner:             {is: Partitioner},
	common + "metrics.JmxReporter": {is: MetricsReporter},

	common + "security.ssl.DefaultSslEngineFactory":                                              {},
	common + "security.authenticator.DefaultLogin":                                               {},
	common + "security.authenticator.SaslClientCallbackHandler":                                  {},
	common + "security.kerberos.KerberosLogin":                                                   {},
	common + "security.oauthbearer.OAuthBearerLoginCallbackHandler":                              {},
	common + "security.oauthbearer.secured.OAuthBearerLoginCallbackHandler":                      {},
	common + "security.oauthbearer.internals.OAuthBearerRefreshingLogin":                         {},
	common + "security.oauthbearer.internals.OAuthBearerSaslClientCallbackHandler":               {},
	common + "security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredLoginCallbackHandler": {},

	ByteArraySerializer:   {},
	ByteArrayDeserializer: {},
}

const common = "org.apache.kafka.common."

// What Kafka's console tools set key.serializer, value.serializer and the like to, whatever the user says.
const (
	ByteArraySerializer   = common + "serialization.ByteArraySerializer"
	ByteArrayDeserializer = common + "serialization.ByteArrayDeserializer"
)

// CheckInstances returns what Kafka's clients throw when the objects of the classes that a property names cannot be made, or
// are none of what is wanted. A property of type CLASS names one, of type LIST any number.
func (c *Config) CheckInstances(property, wanted string) error {
	for _, name := range c.List(property) {
		known, ok := classes[name]
		switch {
		case !ok:
			return &throwable.Exception{Class: throwable.Kafka, Message: "Class " + name + " cannot be found",
				Cause: throwable.Worded(throwable.ClassNotFound, name)}
		case known.abstract:
			return &throwable.Exception{Class: throwable.Kafka, Message: "Could not find a public no-argument constructor for " + name,
				Cause: throwable.New("java.lang.NoSuchMethodException", name+".<init>()")}
		case known.is == wanted:
		case property == "partitioner.class":
			return throwable.New(throwable.Kafka, "class "+name+" is not an instance of "+wanted)
		default:
			return throwable.New("java.lang.ClassCastException", "class "+name)
		}
	}
	return nil
}
