package main

import (
	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/show"
)

// A line is a message as a line of JSON.
type line struct {
	At   string `json:"at,omitempty"`
	Type string `json:"type"`
	Size *int   `json:"size,omitempty"`
	show.Content
}

func newLine(t longwire.Type, data []byte) line {
	return line{Type: t.String(), Content: show.NewContent(data)}
}

// isJSON reports whether data is JSON that can be printed as it is.
func isJSON(data []byte) bool { return show.IsJSON(data) }

// appendJSONLine appends v as one line of JSON.
func appendJSONLine(dst []byte, v any) ([]byte, error) { return show.AppendJSONLine(dst, v) }

// appendPrintable appends JSON with everything escaped that is not printable.
func appendPrintable(dst, text []byte) []byte { return show.AppendPrintable(dst, text) }
