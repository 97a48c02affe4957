package javastring

import (
	"io"
	"sync"
	"unicode/utf8"
)

// AppendUTF8 appends a text as Java reads it: what is no UTF-8 becomes U+FFFD, one for each sequence that might have
// become a character.
func AppendUTF8(dst, text []byte) []byte {
	if utf8.Valid(text) {
		return append(dst, text...)
	}
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if r == utf8.RuneError && n == 1 {
			n = malformed(text)
			dst = utf8.AppendRune(dst, utf8.RuneError)
		} else {
			dst = append(dst, text[:n]...)
		}
		text = text[n:]
	}
	return dst
}

// malformed returns how many bytes of text, which begins with no character, are the beginning of one. Half of a surrogate pair
// counts as one, as in Java.
func malformed(text []byte) int {
	if len(text) > 1 && text[0] == 0xed && 0xa0 <= text[1] && text[1] <= 0xbf {
		if len(text) > 2 && text[2]&0xc0 == 0x80 {
			return 3
		}
		return 2
	}
	for n := min(3, len(text)); n > 1; n-- {
		if beginsRune(text[:n]) {
			return n
		}
	}
	return 1
}

// beginsRune reports whether b, of two or three bytes, may be continued to a character.
func beginsRune(b []byte) bool {
	for _, next := range [...]byte{0x80, 0xbf} {
		longer := append(append(make([]byte, 0, utf8.UTFMax), b...), next)
		if utf8.Valid(longer) || len(longer) < utf8.UTFMax && utf8.Valid(append(longer, 0x80)) {
			return true
		}
	}
	return false
}

// Writer writes text as Java prints strings that it has read from bytes: see AppendUTF8. What others have put into names and
// records does not reach a terminal as bytes. It takes concurrent writes.
type Writer struct {
	raw io.Writer

	mu   sync.Mutex
	held []byte // the beginning of a character, at most
	out  []byte // reused
}

// NewWriter returns a Writer to raw.
func NewWriter(raw io.Writer) *Writer { return &Writer{raw: raw} }

// Raw returns where w writes to, for bytes that are to stay as they are. Flush comes before.
func (w *Writer) Raw() io.Writer { return w.raw }

// Write implements io.Writer. A character that p has the beginning of is written with its end.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) == 0 && utf8.Valid(p) {
		return w.raw.Write(p)
	}
	text := append(w.held, p...)
	whole := len(text)
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if tail := text[len(text)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				whole -= n
			}
			break
		}
	}
	w.out = AppendUTF8(w.out[:0], text[:whole])
	w.held = append([]byte(nil), text[whole:]...)
	if _, err := w.raw.Write(w.out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes the beginning of a character that never ended.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) == 0 {
		return nil
	}
	_, err := w.raw.Write(AppendUTF8(nil, w.held))
	w.held = nil
	return err
}
