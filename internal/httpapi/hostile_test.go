package httpapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

// hostile is text that does something to a terminal, a page, a log or a parser.
var hostile = []string{
	"\x1b[31mred\x1b[0m", "\x1b]0;title\a", "\u009b31mred", "line\nline\r\nline", "\x00", "\x7f", "\u2028\u2029",
	"\u202Eright to left", "\u200bnothing", "\U000E0001tag", "<script>alert(1)</script>", `"},"x":{"`, "data: x\n\nevent: connect\ndata: {}\n\n",
}

// wantSafe demands that output has nothing in it that is not printable but line breaks where
// ours are.
func wantSafe(t *testing.T, what, body string) {
	t.Helper()
	if !utf8.ValidString(body) {
		t.Errorf("%s is not UTF-8: %q", what, body)
	}
	for _, r := range body {
		if !unicode.IsPrint(r) && r != '\n' {
			t.Errorf("%s has %q in it: %q", what, r, body)
			return
		}
	}
	if strings.Contains(body, "<script>") {
		t.Errorf("%s: %q", what, body)
	}
}

func TestHostileText(t *testing.T) {
	bubble(t, gateway.Config{Frames: 100, FrameData: true}, httpapi.Config{}, func(t *testing.T, s *site) {
		events := s.listen("?from=0")
		for i, text := range hostile {
			id := fmt.Sprint("b", i)
			c := s.board(longwire.Hello{ID: id, Groups: []string{text}, Attributes: map[string]string{text: text}}, handler(func(m *longwire.Message) (any, error) {
				switch m.Type {
				case 1:
					return longwire.Envelope{DataType: text, Status: text, Message: text, Data: text}, nil
				case 2:
					return longwire.Raw(fmt.Sprintf(`{"call_back_key":%q,"status":"200","data":{"x":["`+"\xff\u009b\u202e"+`"]}}`, m.Key())), nil
				}
				return longwire.Raw(text), nil
			}))
			quoted, _ := json.Marshal(text)
			for kind := 1; kind <= 3; kind++ {
				got := s.do("POST", "/v1/devices/"+id+"/ask", fmt.Sprintf(`{"type":%d,"data":%s,"match":"type"}`, kind, quoted))
				wantSafe(t, "an answer", got.body)
				var a struct{ Data any }
				if err := json.Unmarshal([]byte(got.body), &a); got.status != 200 || err != nil {
					t.Errorf("%d %q", got.status, got.body)
				}
				if kind == 1 && a.Data != text {
					t.Errorf("%q has become %q", text, a.Data)
				}
			}
			c.Push(t.Context(), 7, text)
			c.Push(t.Context(), 8, longwire.Raw(text))
			c.Push(t.Context(), 9, longwire.Raw(`["`+"\xff\u009b"+`"]`)) // package json takes it for JSON
			synctest.Wait()
			for _, path := range []string{"/v1/devices/" + id, "/v1/devices/" + id + "/frames", "/v1/devices"} {
				got := s.do("GET", path, "")
				wantSafe(t, path, got.body)
				if path == "/v1/devices/"+id {
					var d gateway.Device
					if err := json.Unmarshal([]byte(got.body), &d); err != nil || !reflect.DeepEqual(d.Attributes, map[string]string{text: text}) || d.Groups[0] != text {
						t.Errorf("%q: %+v, %v", text, d, err)
					}
				}
			}
			for _, query := range []string{"?group=", "?cursor=", "?colour="} {
				wantSafe(t, query, s.do("GET", "/v1/devices"+query+url.QueryEscape(text), "").body)
			}
			wantSafe(t, "a problem", s.do("POST", "/v1/devices/"+id+"/ask", fmt.Sprintf(`{"type":%s}`, quoted)).body)
			wantSafe(t, "a problem", s.do("POST", "/v1/devices/"+id+"/ask", fmt.Sprintf(`{"type":1,%s:1}`, quoted)).body)
			s.want(204, "DELETE", "/v1/devices/"+id+"/connection", "")
		}
		c, _ := s.plainBoard()
		frame.NewWriter(c, nil).WriteFrame(1, []byte("\"\xff\""))
		c.Close()
		synctest.Wait()
		seen := 0
		go func() {
			time.Sleep(time.Second)
			events.body.Close()
		}()
		for {
			e, err := events.next()
			if err != nil {
				break
			}
			if e.comment != "" {
				continue
			}
			seen++
			wantSafe(t, "an event", e.data)
			if !json.Valid([]byte(e.data)) || e.name != "connect" && e.name != "message" && e.name != "disconnect" {
				t.Errorf("%+v", e)
			}
		}
		if want := len(hostile)*6 + 3; seen != want { // two connects, three messages and a disconnect of each
			t.Errorf("%d events, want %d", seen, want)
		}
	})
}

func FuzzPrintable(f *testing.F) {
	for _, text := range hostile {
		quoted, _ := json.Marshal(text)
		f.Add(quoted)
		f.Add([]byte(`"` + text + `"`))
	}
	f.Add([]byte("[\"\xff\xc3\", 1e5, {\"ü\": null}]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !json.Valid(b) || bytes.ContainsAny(b, "\r\n\t") { // which Marshal removes
			t.Skip()
		}
		before := bytes.Clone(b)
		got := httpapi.Printable(b)
		if !bytes.Equal(b, before) {
			t.Error("the input has changed")
		}
		wantSafe(t, "it", strings.ReplaceAll(string(got), "<script>", ""))
		var v, w any
		if err := json.Unmarshal(b, &v); err != nil {
			t.Skip() // a number that is too large
		}
		if err := json.Unmarshal(got, &w); err != nil || !reflect.DeepEqual(v, w) {
			t.Errorf("%q has become %q: %v", b, got, err)
		}
	})
}

// FuzzDecode holds decode to package json: what it takes, that takes too.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{"type":16,"data":{"a":[1,2]},"timeout":"5s","match":"key"}`, `{"type":"x","raw":"eA=="}`, `{"type":1} `, `{"type":1}{`, `{"\u0074ype":1}`,
		`{"type":1,"data":"\"[{"}`, `{"type":{"a":1}}`, `{"TYPE":1}`, `{"type":1,"type":1}`, `{`, ``, `null`, `{"data":[[[[]]]]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		err := httpapi.Decode(body)
		if err != nil {
			if len(err.Error()) > 400 {
				t.Errorf("%d bytes of error", len(err.Error()))
			}
			return
		}
		var object map[string]json.RawMessage
		if err := json.Unmarshal(body, &object); err != nil || !utf8.Valid(body) {
			t.Errorf("%q is taken: %v", body, err)
		}
		for name := range object {
			switch name {
			case "type", "data", "raw", "timeout", "match":
			default:
				t.Errorf("%q has a field %q", body, name)
			}
		}
	})
}
