package client_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/longwire/longwire/internal/client"
)

// readEvents returns the events of a stream, each as "id name data", and the id to go on behind.
func readEvents(r io.Reader) (events []string, lastID string, err error) {
	reader := client.NewEventReader(r)
	for {
		e, err := reader.Next()
		if err != nil {
			return events, reader.LastID(), err
		}
		events = append(events, fmt.Sprintf("%s %s %s", e.ID, e.Name, e.Data))
	}
}

func TestEventReader(t *testing.T) {
	for _, test := range []struct {
		about, stream string
		want          []string
		lastID        string
	}{
		{"one", "id: 7\nevent: connect\ndata: {}\n\n", []string{"7 connect {}"}, "7"},
		{"no name", "data: 1\n\n", []string{" message 1"}, ""},
		{"no space", "id:7\ndata:1\n\n", []string{"7 message 1"}, "7"},
		{"one space of two is left", "data:  1\n\n", []string{" message  1"}, ""},
		{"several lines of data", "data: 1\ndata\ndata: 2\n\n", []string{" message 1\n\n2"}, ""},
		{"comments", ": events follow\n\n:\ndata: 1\n: more\n\n", []string{" message 1"}, ""},
		{"an id alone is remembered", ": still here\nid: 9\n\n", nil, "9"},
		{"an id stays with its event", "id: 1\ndata: a\n\ndata: b\n\n", []string{"1 message a", " message b"}, "1"},
		{"nothing to say", "event: connect\n\ndata: 1\n\n", []string{" message 1"}, ""},
		{"empty data", "data\n\n", []string{" message "}, ""},
		{"unknown fields", "retry: 9\nfoo: bar\nfoo\ndata: 1\n\n", []string{" message 1"}, ""},
		{"carriage returns", "id: 1\r\ndata: a\r\n\r\nid: 2\rdata: b\r\r", []string{"1 message a", "2 message b"}, "2"},
		{"a byte order mark", "\uFEFFdata: 1\n\n", []string{" message 1"}, ""},
		{"half an event", "id: 1\ndata: a\n\nid: 2\ndata: b\n", []string{"1 message a"}, "1"},
		{"an id that no header can have", "id: a\x00b\ndata: 1\n\nid: ä\ndata: 2\n\n", []string{" message 1", " message 2"}, ""},
		{"an id that is taken back", "id: 1\ndata: a\n\nid\ndata: b\n\n", []string{"1 message a", " message b"}, ""},
	} {
		t.Run(test.about, func(t *testing.T) {
			for _, r := range []io.Reader{strings.NewReader(test.stream), iotest.OneByteReader(strings.NewReader(test.stream))} {
				events, lastID, err := readEvents(r)
				if err != io.EOF || !slices.Equal(events, test.want) || lastID != test.lastID {
					t.Errorf("%q, last id %q, %v; want %q, last id %q", events, lastID, err, test.want, test.lastID)
				}
			}
		})
	}
}

// An event is there as soon as its last line is, and not only when more comes.
func TestEventReaderDoesNotWait(t *testing.T) {
	for _, stream := range []string{"data: 1\n\n", "data: 1\r\r", "data: 1\r\n\r\n"} {
		r, w := io.Pipe()
		go io.WriteString(w, stream) // and then nothing
		if e, err := client.NewEventReader(r).Next(); err != nil || string(e.Data) != "1" {
			t.Errorf("%q: %+v, %v", stream, e, err)
		}
		r.Close()
	}
}

// An event may be as large as the largest that a gateway keeps.
func TestEventReaderReadsLargeEvents(t *testing.T) {
	large := strings.Repeat(`\u003c`, 8<<20)
	e, err := client.NewEventReader(strings.NewReader("data: " + large + "\n\n")).Next()
	if err != nil || string(e.Data) != large {
		t.Errorf("%d bytes of %d, %v", len(e.Data), len(large), err)
	}
}

func TestEventReaderHasLimits(t *testing.T) {
	for _, stream := range []string{
		"data: " + strings.Repeat("x", client.MaxEvent) + "\n\n",
		strings.Repeat("data: "+strings.Repeat("x", client.MaxEvent/4)+"\n", 5) + "\n",
	} {
		if events, _, err := readEvents(strings.NewReader(stream)); err == io.EOF {
			t.Errorf("%d events from a stream of %d bytes", len(events), len(stream))
		}
	}
}

// What comes out does not depend on how it came in, and nothing makes it panic.
func FuzzEventReader(f *testing.F) {
	f.Add("id: 7\nevent: connect\ndata: {}\n\n: still here\nid: 8\n\n")
	f.Add("\uFEFFdata: a\r\ndata\r\rid\n\n")
	f.Fuzz(func(t *testing.T, stream string) {
		whole, lastID, err := readEvents(strings.NewReader(stream))
		bytewise, sameID, sameErr := readEvents(iotest.OneByteReader(strings.NewReader(stream)))
		if !slices.Equal(whole, bytewise) || lastID != sameID || err != sameErr {
			t.Errorf("%q, %q, %v; byte by byte %q, %q, %v", whole, lastID, err, bytewise, sameID, sameErr)
		}
		if strings.ContainsAny(lastID, "\r\n\x00") {
			t.Errorf("last id %q", lastID)
		}
	})
}
