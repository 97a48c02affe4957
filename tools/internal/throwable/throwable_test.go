package throwable

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
)

func TestFromCode(t *testing.T) {
	own := "Topic 'orders' already exists."
	tests := []struct {
		code    int16
		message *string
		want    string
	}{
		{36, &own, "org.apache.kafka.common.errors.TopicExistsException: Topic 'orders' already exists."},
		{44, nil, "org.apache.kafka.common.errors.PolicyViolationException: Request parameters do not satisfy the configured policy."},
		{87, nil, "org.apache.kafka.common.InvalidRecordException: This record has failed the validation on broker and hence will be rejected."},
		{9999, nil, "org.apache.kafka.common.errors.UnknownServerException: The server experienced an unexpected error when processing the request."},
	}
	for _, tt := range tests {
		if got := String(FromCode(tt.code, tt.message)); got != tt.want {
			t.Errorf("code %d is %q, want %q", tt.code, got, tt.want)
		}
	}
	if FromCode(0, nil) != nil {
		t.Error("code 0 is an error")
	}
	if err := FromCode(36, nil); Code(err) != 36 || !errors.Is(err, kerr.TopicAlreadyExists) {
		t.Error("the code is lost")
	}
}

// TestEveryCode checks the table against the codes that the client library knows.
func TestEveryCode(t *testing.T) {
	for code := int16(-1); code <= 127; code++ {
		if code == 0 {
			continue
		}
		if known := kerr.TypedErrorForCode(code); known == nil || protocolErrors[code].Class == "" {
			t.Errorf("code %d: library %v, table %q", code, known, protocolErrors[code].Class)
		}
	}
}

func TestTrace(t *testing.T) {
	_, missing := os.ReadFile("does/not/exist")
	option := &jopt.Error{Exception: "OptionArgumentConversionException", Message: "Cannot parse argument 'x' of option y",
		Causes: []string{`joptsimple.internal.ReflectionException: java.lang.NumberFormatException: For input string: "x"`,
			`java.lang.NumberFormatException: For input string: "x"`}}
	empty := ""
	failed := New(AdminCommand, "2 failed")
	failed.Suppressed = []error{InFuture(New(Config, "one")), New(Config, "two")}
	failed.Cause = New(IO, "why")
	tests := []struct {
		err  error
		want string
	}{
		{New(Timeout, ""), "org.apache.kafka.common.errors.TimeoutException\n"},
		{FromCode(44, nil), "org.apache.kafka.common.errors.PolicyViolationException: Request parameters do not satisfy the configured policy.\n"},
		{fmt.Errorf("read: %w", missing), "java.nio.file.NoSuchFileException: does/not/exist\n"},
		{&Exception{Class: Kafka, Message: "outer", Cause: New(Config, "inner")},
			"org.apache.kafka.common.KafkaException: outer\nCaused by: org.apache.kafka.common.config.ConfigException: inner\n"},
		{option, "joptsimple.OptionArgumentConversionException: Cannot parse argument 'x' of option y\n" +
			"Caused by: joptsimple.internal.ReflectionException: java.lang.NumberFormatException: For input string: \"x\"\n" +
			"Caused by: java.lang.NumberFormatException: For input string: \"x\"\n"},
		{InFuture(FromCode(3, &empty)), "java.util.concurrent.ExecutionException: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: \n" +
			"Caused by: org.apache.kafka.common.errors.UnknownTopicOrPartitionException: \n"},
		{failed, "org.apache.kafka.server.common.AdminCommandFailedException: 2 failed\n" +
			"\tSuppressed: java.util.concurrent.ExecutionException: org.apache.kafka.common.config.ConfigException: one\n" +
			"\tCaused by: org.apache.kafka.common.config.ConfigException: one\n" +
			"\tSuppressed: org.apache.kafka.common.config.ConfigException: two\n" +
			"Caused by: java.io.IOException: why\n"},
		{errors.New("anything"), "org.apache.kafka.common.KafkaException: anything\n"},
	}
	for _, tt := range tests {
		if got := Trace(tt.err); got != tt.want {
			t.Errorf("got\n%swant\n%s", got, tt.want)
		}
	}
}
