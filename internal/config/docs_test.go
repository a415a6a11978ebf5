package config_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/longwire/longwire/internal/config"
)

var update = flag.Bool("update", false, "write docs/configuration.md again")

const (
	docFile  = "../../docs/configuration.md"
	docBegin = "<!-- Made from internal/config by go test ./internal/config -update. -->\n"
	docEnd   = "<!-- Up to here. -->\n"
)

// The list of settings in the documentation is made from the code.
func TestDocumentationIsUpToDate(t *testing.T) {
	data, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	before, rest, ok := strings.Cut(text, docBegin)
	_, after, ends := strings.Cut(rest, docEnd)
	if !ok || !ends {
		t.Fatalf("%s has no place for the list", docFile)
	}
	want := before + docBegin + reference() + docEnd + after
	if text == want {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the code says; run go test ./internal/config -update", docFile)
	}
	if err := os.WriteFile(docFile, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reference returns a table for each section.
func reference() string {
	var sections []string
	tables := map[string]*strings.Builder{}
	table := func(section, doc string) {
		heading := section
		if heading == "" {
			heading = "The file"
		}
		tables[section] = new(strings.Builder)
		sections = append(sections, section)
		fmt.Fprintf(tables[section], "\n### %s\n\n%s\n\n| setting | default | changes | |\n|---|---|---|---|\n", heading, doc)
	}
	table("", "Every setting may be left out.")
	config.EachSetting(func(path, def, _, doc string, section, restart bool) {
		if section {
			below := path
			switch path {
			case "listeners":
				below += "[]"
			case "types":
				below += ".NAME"
			}
			table(below, doc)
			return
		}
		change := "at a reload"
		if restart {
			change = "at a restart"
		}
		if def != "" && !strings.Contains(def, " ") {
			def = "`" + def + "`"
		}
		parent := path[:max(0, strings.LastIndexByte(path, '.'))]
		fmt.Fprintf(tables[parent], "| `%s` | %s | %s | %s |\n", strings.TrimPrefix(strings.TrimPrefix(path, parent), "."), def, change, strings.ReplaceAll(doc, "|", `\|`))
	})
	var b strings.Builder
	for _, s := range sections {
		if text := tables[s].String(); strings.Count(text, "\n") > 6 {
			b.WriteString(text)
		}
	}
	b.WriteString("\n")
	return b.String()
}
