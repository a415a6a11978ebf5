package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// A Pointer says where in a JSON document a value stands (RFC 6901). The zero Pointer is
// none.
type Pointer struct {
	text  string
	steps []string
}

// ParsePointer reads a pointer, as in "/device/id".
func ParsePointer(text string) (Pointer, error) {
	if !strings.HasPrefix(text, "/") {
		return Pointer{}, fmt.Errorf("%q is no JSON pointer; it begins with a slash, as in /device/id", text)
	}
	p := Pointer{text: text}
	for step := range strings.SplitSeq(text[1:], "/") {
		rest := strings.ReplaceAll(strings.ReplaceAll(step, "~0", ""), "~1", "")
		if strings.Contains(rest, "~") {
			return Pointer{}, fmt.Errorf("%q is no JSON pointer; ~ is written ~0, and / in a name ~1", text)
		}
		p.steps = append(p.steps, strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~"))
	}
	return p, nil
}

// String returns the pointer as it was written.
func (p Pointer) String() string { return p.text }

// text returns the text or number that p points to.
func (p Pointer) in(document []byte) (string, error) {
	value := json.RawMessage(document)
	for _, step := range p.steps {
		var object map[string]json.RawMessage
		var array []json.RawMessage
		switch {
		case json.Unmarshal(value, &object) == nil:
			value = object[step]
		case json.Unmarshal(value, &array) == nil:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(array) {
				return "", fmt.Errorf("there is nothing at %s", p)
			}
			value = array[i]
		default:
			value = nil
		}
		if value == nil {
			return "", fmt.Errorf("there is nothing at %s", p)
		}
	}
	var text string
	if json.Unmarshal(value, &text) == nil && string(value) != "null" {
		return text, nil
	}
	var number json.Number
	if json.Unmarshal(value, &number) == nil && number != "" {
		return number.String(), nil
	}
	return "", errors.New("what is at " + p.text + " is neither a text nor a number")
}
