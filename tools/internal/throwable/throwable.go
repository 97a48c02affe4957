// Package throwable names errors as Kafka's Java tools name them: by the class of the exception, its
// message and its cause. Scripts look for these names, so the tools print them where Kafka's do.
package throwable

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/gregor-mq/gregor/tools/internal/jopt"
)

// Exception is an error with the name of a Java class.
type Exception struct {
	Class   string // full name
	Message string // "" for none, unless blank
	Cause   error  // printed below; nil for none
	// Suppressed are errors of the parts of a work that failed, printed before the cause.
	Suppressed []error

	blank bool // there is a message, and it is empty: Java prints the colon before it
}

func (e *Exception) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Exception) Unwrap() error { return e.Cause }

// New returns an exception without a cause.
func New(class, message string) *Exception { return &Exception{Class: class, Message: message} }

// Worded is New with a message even if it is empty.
func Worded(class, message string) *Exception {
	return &Exception{Class: class, Message: message, blank: message == ""}
}

// Newf is New with a formatted message.
func Newf(class, format string, args ...any) *Exception {
	return New(class, fmt.Sprintf(format, args...))
}

// The classes that the tools throw themselves.
const (
	IllegalArgument      = "java.lang.IllegalArgumentException"
	IllegalState         = "java.lang.IllegalStateException"
	IndexOutOfBounds     = "java.lang.IndexOutOfBoundsException"
	NumberFormat         = "java.lang.NumberFormatException"
	PatternSyntax        = "java.util.regex.PatternSyntaxException"
	Runtime              = "java.lang.RuntimeException"
	Execution            = "java.util.concurrent.ExecutionException"
	ClassNotFound        = "java.lang.ClassNotFoundException"
	NoSuchFile           = "java.nio.file.NoSuchFileException"
	AccessDenied         = "java.nio.file.AccessDeniedException"
	IO                   = "java.io.IOException"
	InvalidConfiguration = "org.apache.kafka.common.errors.InvalidConfigurationException"
	ZooKeeperTimeout     = "kafka.zookeeper.ZooKeeperClientTimeoutException"
	Kafka                = "org.apache.kafka.common.KafkaException"
	Config               = "org.apache.kafka.common.config.ConfigException"
	FutureTimeout        = "java.util.concurrent.TimeoutException"
	Timeout              = "org.apache.kafka.common.errors.TimeoutException"
	InvalidTopic         = "org.apache.kafka.common.errors.InvalidTopicException"
	RecordTooLarge       = "org.apache.kafka.common.errors.RecordTooLargeException"
	AdminCommand         = "org.apache.kafka.server.common.AdminCommandFailedException"
	AdminOperation       = "org.apache.kafka.server.common.AdminOperationException"
	Terse                = "org.apache.kafka.tools.TerseException"
	JSONMapping          = "com.fasterxml.jackson.databind.JsonMappingException"
	Disconnect           = "org.apache.kafka.common.errors.DisconnectException"
	UnknownException     = "org.apache.kafka.common.errors.UnknownServerException"
)

//go:embed errors.tsv
var errorTable string

var protocolErrors = parseErrors(errorTable)

func parseErrors(table string) map[int16]Exception {
	parsed := map[int16]Exception{}
	for line := range strings.Lines(table) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if code, err := strconv.ParseInt(fields[0], 10, 16); err == nil && len(fields) == 3 {
			parsed[int16(code)] = Exception{Class: "org.apache.kafka.common." + fields[1], Message: fields[2]}
		}
	}
	return parsed
}

// FromCode returns the exception of a protocol error code: with Kafka's own message, or with the
// broker's if it sent one. It returns nil for code 0.
func FromCode(code int16, message *string) error {
	if code == 0 {
		return nil
	}
	exception, ok := protocolErrors[code]
	if !ok {
		exception = protocolErrors[kerr.UnknownServerError.Code]
	}
	if message != nil {
		exception.Message, exception.blank = *message, *message == ""
	}
	exception.Cause = kerr.ErrorForCode(code)
	return &exception
}

// InFuture returns err as a Java future throws it: wrapped in an ExecutionException.
func InFuture(err error) *Exception { return wrap(Execution, err) }

// InRuntime returns err wrapped in a RuntimeException, as code throws it that declares no exceptions.
func InRuntime(err error) *Exception { return wrap(Runtime, err) }

func wrap(class string, err error) *Exception {
	return &Exception{Class: class, Message: String(err), Cause: From(err)}
}

// Code returns the protocol error code of err, 0 if it has none.
func Code(err error) int16 {
	if protocol, ok := errors.AsType[*kerr.Error](err); ok {
		return protocol.Code
	}
	return 0
}

// From returns err as an exception: itself if it is one, else the closest one.
func From(err error) *Exception {
	if exception, ok := errors.AsType[*Exception](err); ok {
		return exception
	}
	if option, ok := errors.AsType[*jopt.Error](err); ok {
		return optionException(option)
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return fileException(path)
	}
	if protocol, ok := errors.AsType[*kerr.Error](err); ok {
		return FromCode(protocol.Code, nil).(*Exception)
	}
	return &Exception{Class: Kafka, Message: err.Error()}
}

func optionException(err *jopt.Error) *Exception {
	exception := New(err.Class(), err.Message)
	inner := exception
	for _, text := range err.Causes {
		class, message, _ := strings.Cut(text, ": ")
		cause := New(class, message)
		inner.Cause, inner = cause, cause
	}
	return exception
}

func fileException(err *fs.PathError) *Exception {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return New(NoSuchFile, err.Path)
	case errors.Is(err, fs.ErrPermission):
		return New(AccessDenied, err.Path)
	case errors.Is(err, syscall.EISDIR):
		return New(IO, "Is a directory")
	}
	return New(IO, err.Error())
}

// String returns what Java's toString does: the class and, if there is one, the message.
func String(err error) string {
	e := From(err)
	if e.Message == "" && !e.blank {
		return e.Class
	}
	return e.Class + ": " + e.Message
}

// Trace returns what Java prints of err and its causes, without the frames of the stack; it ends in a
// newline.
func Trace(err error) string {
	var b strings.Builder
	b.WriteString(String(err) + "\n")
	for _, suppressed := range From(err).Suppressed {
		b.WriteString("\tSuppressed: " + strings.TrimSuffix(strings.ReplaceAll(Trace(suppressed), "\n", "\n\t"), "\t"))
	}
	for cause := From(err).Cause; cause != nil; {
		exception, ok := cause.(*Exception)
		if !ok {
			break // the protocol error that the exception was made from
		}
		b.WriteString("Caused by: " + String(exception) + "\n")
		cause = exception.Cause
	}
	return b.String()
}
