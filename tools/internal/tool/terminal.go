package tool

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/gregor-mq/gregor/tools/internal/javastring"
)

// IsTerminal reports whether stream is a terminal.
func IsTerminal(stream any) bool {
	if text, ok := stream.(*javastring.Writer); ok {
		stream = text.Raw()
	}
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}
