package properties

import (
	"fmt"
	"strings"
)

// Append appends the line name=value to dst, as Properties.store writes it to a stream: with everything
// outside ASCII as \uXXXX, so that readers of any encoding agree.
func Append(dst []byte, name, value string) []byte {
	dst = appendEscaped(dst, name, true)
	dst = append(dst, '=')
	dst = appendEscaped(dst, value, false)
	return append(dst, '\n')
}

func appendEscaped(dst []byte, s string, name bool) []byte {
	for i, r := range s {
		switch {
		case r == ' ' && (name || i == 0):
			dst = append(dst, '\\', ' ')
		case r == '\t':
			dst = append(dst, '\\', 't')
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\r':
			dst = append(dst, '\\', 'r')
		case r == '\f':
			dst = append(dst, '\\', 'f')
		case strings.ContainsRune(`\=:#!`, r):
			dst = append(dst, '\\', byte(r))
		case r < ' ' || r > '~' && r <= 0xffff:
			dst = fmt.Appendf(dst, `\u%04X`, r)
		case r > 0xffff: // a surrogate pair, as Java counts characters
			r -= 0x10000
			dst = fmt.Appendf(dst, `\u%04X\u%04X`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			dst = append(dst, byte(r))
		}
	}
	return dst
}
