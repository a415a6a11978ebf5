package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode"
)

// An Event is one of a stream of server-sent events.
type Event struct {
	ID   string // "" when it has none
	Name string // "message" when it does not say
	Data []byte
}

// maxEvent bounds the bytes of one event. What a gateway keeps of one has 8 MiB at the most, of which it may write
// each byte as six.
const maxEvent = 64 << 20

var errLargeEvent = errors.New("an event is larger than any that a gateway sends")

// An eventReader reads server-sent events, in the form that the HTML standard gives them.
type eventReader struct {
	r       *bufio.Reader
	lastID  string // what a stream that continues this one is asked for
	begun   bool
	afterCR bool // a line feed that comes now belongs to the line break before
	line    []byte
}

func newEventReader(r io.Reader) *eventReader { return &eventReader{r: bufio.NewReader(r)} }

// next returns the next event. One that the stream ends in the middle of does not
// count.
func (r *eventReader) next() (Event, error) {
	var e Event
	id, hasID, hasData := "", false, false
	for {
		line, err := r.readLine()
		if err != nil {
			return Event{}, err
		}
		if len(line) == 0 {
			if hasID {
				r.lastID = id
			}
			if !hasData {
				e, id, hasID = Event{}, "", false
				continue
			}
			if e.Name == "" {
				e.Name = "message"
			}
			e.ID = id
			e.Data = bytes.TrimSuffix(e.Data, []byte{'\n'})
			return e, nil
		}
		field, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.Name = value
		case "data":
			e.Data = append(append(e.Data, value...), '\n')
			hasData = true
			if len(e.Data) > maxEvent {
				return Event{}, errLargeEvent
			}
		case "id":
			if isEventID(value) {
				id, hasID = value, true
			}
		}
	}
}

// isEventID reports whether an id can be sent back in a header.
func isEventID(id string) bool {
	return len(id) <= 256 && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > unicode.MaxASCII-1 })
}

// readLine reads a line, without its break: CR, LF or both. A CR ends it at once, whatever
// comes later. The line is valid until the next one is read.
func (r *eventReader) readLine() ([]byte, error) {
	if !r.begun {
		r.begun = true
		if bom, err := r.r.Peek(3); err == nil && string(bom) == "\uFEFF" {
			r.r.Discard(3)
		}
	}
	r.line = r.line[:0]
	for {
		if _, err := r.r.Peek(1); err != nil {
			return nil, err
		}
		part, _ := r.r.Peek(r.r.Buffered())
		if r.afterCR && part[0] == '\n' {
			part = part[1:]
			r.r.Discard(1)
		}
		r.afterCR = false
		end := len(part)
		for _, ends := range []byte{'\n', '\r'} { // faster than to look for both at once
			if i := bytes.IndexByte(part[:end], ends); i >= 0 {
				end = i
			}
		}
		whole := end < len(part)
		if whole {
			r.afterCR = part[end] == '\r'
			part = part[:end+1]
		}
		r.line = append(r.line, part...)
		r.r.Discard(len(part))
		switch {
		case len(r.line) > maxEvent:
			return nil, errLargeEvent
		case whole:
			return r.line[:len(r.line)-1], nil
		}
	}
}
