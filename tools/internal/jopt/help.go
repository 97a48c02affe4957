package jopt

import (
	"fmt"
	"io"
	"strings"
)

// helpWidth is the width of both columns of PrintHelp together, in characters.
const helpWidth = 80

// PrintHelp writes the options as joptsimple lays them out: two columns, the left one at most half as
// wide as the page, with what goes on indented by two.
func (p *Parser) PrintHelp(w io.Writer) error {
	left, right := []string{"Option"}, []string{"Description"}
	for _, o := range p.options {
		left, right = append(left, o.synopsis()), append(right, o.description())
	}
	leftWidth := min(widest(left), (helpWidth-2)/2)
	rightWidth := min(widest(right), helpWidth-2-leftWidth)

	var b strings.Builder
	row := func(l, r string) { fmt.Fprintf(&b, "%-*s  %-*s\n", leftWidth, l, rightWidth, r) }
	for i := range left {
		l, r := wrap(left[i], leftWidth), wrap(right[i], rightWidth)
		for len(l) < len(r) {
			l = append(l, "")
		}
		for len(r) < len(l) {
			r = append(r, "")
		}
		for j := range l {
			row(l[j], r[j])
		}
		if i == 0 {
			row("------", "-----------")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// synopsis returns the option as it is given: --name <Kind: value>.
func (o Option) synopsis() string {
	argument := o.Kind.String()
	if o.Names != nil {
		argument = "[" + strings.Join(o.Names, ",") + "]"
	}
	if o.Value != "" {
		argument += ": " + o.Value
	}
	switch o.Arity {
	case Required:
		return "--" + o.Name + " <" + argument + ">"
	case Optional:
		return "--" + o.Name + " [" + argument + "]"
	}
	return "--" + o.Name
}

func (o Option) description() string {
	if o.Default == "" {
		return o.Doc
	}
	return strings.TrimSpace(o.Doc + " (default: " + o.Default + ")")
}

func widest(texts []string) int {
	width := 0
	for _, text := range texts {
		for line := range strings.Lines(text) {
			width = max(width, len(strings.TrimSuffix(line, "\n")))
		}
	}
	return width
}

// wrap breaks text at spaces into lines of at most width characters; continued lines are indented by two.
// A word that is too long stands on a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	for paragraph := range strings.SplitSeq(text, "\n") {
		line := ""
		for i, word := range strings.Split(paragraph, " ") {
			switch {
			case i == 0:
				line = word
			case len(line)+1+len(word) <= width:
				line += " " + word
			default:
				lines, line = append(lines, line), "  "+word
			}
		}
		lines = append(lines, line)
	}
	return lines
}
