// Package apikeys knows the APIs of Kafka 3.9: their names, and the versions that its clients have for them.
package apikeys

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"
)

//go:embed apis.tsv
var table string

// API is one row of the table.
type API struct {
	Key            int16
	Name           string
	Oldest, Latest int16
	Client         bool // clients ask it, not only brokers and controllers
}

// All are the APIs by their keys. It must not be changed.
var All = parse(table)

func parse(table string) map[int16]API {
	apis := map[int16]API{}
	for line := range strings.Lines(table) {
		var a API
		if n, _ := fmt.Sscanf(line, "%d\t%s\t%d\t%d\t%t", &a.Key, &a.Name, &a.Oldest, &a.Latest, &a.Client); n == 5 {
			apis[a.Key] = a
		}
	}
	return apis
}

var wordStart = regexp.MustCompile(`([a-z])([A-Z])`)

// Constant returns Java's constant for an API, such as ELECT_LEADERS.
func Constant(key int16) string {
	return strings.ToUpper(wordStart.ReplaceAllString(All[key].Name, "${1}_$2"))
}
