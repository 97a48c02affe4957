package argparse

import (
	"fmt"
	"io"
	"strings"
)

// width is that of a page and docColumn the place of the right one of its two columns, in characters.
const (
	width     = 75
	docColumn = 25
)

// PrintHelp writes usage, description, subcommands and options.
func (p *Parser) PrintHelp(w io.Writer) {
	p.printUsage(w)
	if p.Name == "" && p.Doc != "" {
		fmt.Fprintf(w, "\n%s\n", wrap(p.Doc, 0, ""))
	}
	if p.Commands != nil {
		fmt.Fprint(w, "\npositional arguments:\n")
		printRow(w, p.choices(), "")
		for _, c := range p.Commands {
			printRow(w, "  "+c.Name, c.Doc)
		}
	}
	fmt.Fprint(w, "\noptional arguments:\n")
	for _, o := range p.options() {
		var forms []string
		for _, flag := range o.Flags {
			if !o.help {
				flag += " " + o.metavar()
			}
			forms = append(forms, flag)
		}
		printRow(w, strings.Join(forms, ", "), o.Doc)
	}
}

func printRow(w io.Writer, title, doc string) {
	switch {
	case doc == "":
		fmt.Fprintf(w, "  %s\n", title)
		return
	case len(title) <= docColumn-4:
		fmt.Fprintf(w, "  %-*s", docColumn-2, title)
	default:
		fmt.Fprintf(w, "  %s\n%*s", title, docColumn, "")
	}
	fmt.Fprintln(w, wrap(doc, docColumn, strings.Repeat(" ", docColumn)))
}

func (p *Parser) choices() string {
	var names []string
	for _, c := range p.Commands {
		names = append(names, c.Name)
	}
	return "{" + strings.Join(names, ",") + "}"
}

// printUsage writes the line about the syntax: options, then those of which one must be given, then
// subcommands. Lines are not filled with spaces.
func (p *Parser) printUsage(w io.Writer) {
	head := "usage: " + p.Program
	fmt.Fprint(w, head)
	indent, at := strings.Repeat(" ", len(head)), len(head)
	for i, part := range p.usage() {
		if i > 0 && at+1+len(part) > width {
			fmt.Fprint(w, "\n"+indent)
			at = len(indent)
		}
		fmt.Fprint(w, " "+part)
		at += 1 + len(part)
	}
	fmt.Fprintln(w)
}

func (p *Parser) usage() []string {
	var parts, oneOf []string
	if p.Name != "" {
		parts = append(parts, p.Name)
	}
	for _, o := range p.options() {
		switch {
		case o.OneOf:
			oneOf = append(oneOf, o.syntax(), "|")
		case o.Required:
			parts = append(parts, o.syntax())
		default:
			parts = append(parts, "["+o.syntax()+"]")
		}
	}
	if oneOf != nil {
		oneOf = oneOf[:len(oneOf)-1]
		oneOf[0] = "(" + oneOf[0]
		oneOf[len(oneOf)-1] += ")"
		parts = append(parts, oneOf...)
	}
	if p.Commands != nil {
		parts = append(parts, p.choices(), "...")
	}
	return parts
}
