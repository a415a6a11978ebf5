package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What a scenario is printed as is a scenario that says the same.
func TestScenarioPrinted(t *testing.T) {
	for _, text := range []string{
		"",
		"boards: [{fault: split}, {fault: {kind: storm, every: 5s, share: 50%}}, {ids: boards.txt, id: off, fault: stop}]",
		"duration: off\nboards: [{name: a, count: 3, send: [{type: 0, data: '{\"n\":{{.N}}}', every: 1s, jitter: 20%}], answers: [{type: 0x10, silent: 5%}, {delay: 1s}]}]",
	} {
		s, err := ParseScenario("a.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		first := string(s.YAML())
		s, err = ParseScenario("a.yaml", []byte(first))
		if err != nil {
			t.Fatalf("%s\n%v", first, err)
		}
		if again := string(s.YAML()); values(again) != values(first) {
			t.Errorf("printed as\n%s\nand then as\n%s", values(first), values(again))
		}
	}
}

// values returns the lines of a file without comments.
func values(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "  # ")
		if line = strings.TrimRight(line, "\n"); !strings.HasPrefix(strings.TrimSpace(line), "#") && line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestScenarioDefaults(t *testing.T) {
	s, err := ParseScenario("", []byte("boards: [{count: 2}, {name: b, fault: slow}, {fault: half_open}, {fault: storm}]"))
	if err != nil {
		t.Fatal(err)
	}
	b := s.Boards
	if b[0].Name != "boards-1" || b[0].ID != "boards-1-{{.N}}" || b[1].ID != "b-{{.N}}" || b[1].Count != 1 {
		t.Errorf("%+v", b)
	}
	if b[1].Fault.Bytes != 64 || b[2].Fault.After != 2 || b[2].Fault.Hold.String() != "2m" || b[3].Fault.Share != 100 || b[3].Fault.Every.String() != "30s" {
		t.Errorf("%+v", b)
	}
}

func TestScenarioProblems(t *testing.T) {
	for text, want := range map[string]string{
		"ramp: 0":                "a.yaml:1: ramp: is 0; it must be more than 0",
		"duraton: 3s":            "a.yaml:1: duraton: there is no such setting; did you mean duration?",
		"boards: [{fault: spl}]": `a.yaml:1: boards[0].fault: "spl" is neither none, split, garbage, wrong_tail, slow, half_open, stop nor storm`,
		"boards:\n- fault: {kind: split, every: 3s}":    "a.yaml:2: boards[0].fault.every: has no meaning for the fault split; it is one of storm",
		"boards: [{send: [{data: x}]}]":                 "a.yaml:1: boards[0].send[0]: has no type; write which messages these are, as in type: 0x10",
		"boards: [{send: [{type: 0xff00}]}]":            "a.yaml:1: boards[0].send[0].type: 0xff00 is one of longwire's own types, which are 0xff00 to 0xffff; choose another",
		"boards: [{fault: {kind: storm, share: 101%}}]": `a.yaml:1: boards[0].fault.share: "101%" is no share; write it as in 20%, at most 100%`,
		"boards: {": "a.yaml:2: is not YAML: ",
	} {
		_, err := ParseScenario("a.yaml", []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// Every kind of fault has its settings in the table.
func TestFaultKindsHaveSettings(t *testing.T) {
	for _, kind := range FaultKind("").words() {
		if _, ok := faultSettings[FaultKind(kind)]; !ok {
			t.Errorf("%s has none", kind)
		}
	}
	if kinds := FaultKinds(); len(kinds) != len(faultSettings)-1 || slices.Contains(kinds, "none") {
		t.Error(kinds)
	}
}

// The scenarios that are handed out are read without problems.
func TestScenarioExamples(t *testing.T) {
	files, err := filepath.Glob("../../examples/sim/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseScenario(file, text); err != nil {
			t.Error(err)
		}
	}
}

func FuzzScenario(f *testing.F) {
	f.Add("boards: [{count: 3, fault: {kind: split, bytes: 3}, send: [{type: 0x10, data: '{{.N}}'}]}]")
	f.Add("boards: [{answers: [{type: 16, silent: 5%}], reconnect: {min: 1s, max: 1s}}]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseScenario("a.yaml", []byte(text))
		if err != nil {
			return
		}
		if _, err := ParseScenario("a.yaml", s.YAML()); err != nil {
			t.Errorf("%q is printed as\n%s\n%v", text, s.YAML(), err)
		}
	})
}
