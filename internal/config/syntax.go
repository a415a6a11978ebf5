package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

const (
	mostBytes  = 1 << 20 // of a configuration file
	mostDepth  = 32      // of settings in settings
	mostValues = 1 << 18 // with what aliases repeat
)

// parseYAML returns the one document in data, nil when there is nothing in it.
func parseYAML(data []byte) (*yaml.Node, *Problem) {
	if len(data) > mostBytes {
		return nil, &Problem{Text: fmt.Sprintf("has %d bytes, and may have %d; lists of tokens can have a file of their own", len(data), mostBytes)}
	}
	if p := notUTF8(data); p != nil {
		return nil, p
	}
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(depth{}))
	if err != nil {
		return nil, &Problem{Text: err.Error()}
	}
	var doc, second yaml.Node
	switch err := loader.Load(&doc); {
	case err == io.EOF:
		return nil, nil
	case err != nil:
		return nil, syntaxProblem(err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, &Problem{Line: second.Line, Text: "begins a second document, and a configuration is one"}
	case err != io.EOF:
		return nil, syntaxProblem(err)
	}
	root := doc.Content[0]
	if root.Tag == "!!null" && root.Value == "" && root.Style&yaml.TaggedStyle == 0 {
		return nil, nil // nothing but comments
	}
	return root, nil
}

// depth keeps settings from being nested without end.
type depth struct{}

func (depth) CheckDepth(depth int, _ *yaml.DepthContext) error {
	if depth > mostDepth {
		return fmt.Errorf("is nested more than %d deep", mostDepth)
	}
	return nil
}

// CheckAlias is never asked: the decoder counts.
func (depth) CheckAlias(int, int) error { return nil }

// notUTF8 finds what cannot be in a text file.
func notUTF8(data []byte) *Problem {
	line := 1
	for i, r := range string(data) {
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && !bytes.HasPrefix(data[i:], []byte("\uFFFD")):
			return &Problem{Line: line, Text: "is not UTF-8; save the file in that encoding"}
		case r < ' ' && r != '\t' && r != '\r', r >= 0x7F && r < 0xA0:
			return &Problem{Line: line, Text: fmt.Sprintf("has the control character %#U; take it out", r)}
		}
	}
	return nil
}

// syntaxProblem makes an error of the YAML library into ours.
func syntaxProblem(err error) *Problem {
	e, ok := errors.AsType[*yaml.LoadError](err)
	if !ok {
		return &Problem{Text: "is not YAML: " + strings.TrimPrefix(err.Error(), "yaml: ")}
	}
	line, from := e.Mark.Line, e.ContextMark.Line
	where := ""
	if from > 0 && e.ContextMsg != "while scanning for the next token" {
		where = " " + e.ContextMsg
	}
	switch {
	case line == 0 || from > 0 && (strings.HasPrefix(e.Message, "could not find") || strings.HasSuffix(e.Message, "end of stream")):
		line = from // what was begun there has not ended as it must
	case from > 0 && from != line && where != "":
		where += fmt.Sprintf(" that begins in line %d", from)
	}
	text := "is not YAML: " + e.Message + where
	if strings.HasPrefix(e.Message, "is nested") {
		text = e.Message
	}
	if strings.HasPrefix(e.Message, "found character that cannot start") {
		text += "; quote text that begins with @, % or `, and indent with spaces"
	}
	return &Problem{Line: line, Text: text}
}
