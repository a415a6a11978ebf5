package longwire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// returns is a handler that returns this.
func returns(v any, err error) longwire.Handler {
	return longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) { return v, err })
}

// answerTo returns the data of the frame that a server with the handler answers
// data with, "nothing" when there is none, and what the server wrote to its log.
func answerTo(t *testing.T, h longwire.Handler, data string) (answer string, log []string) {
	t.Helper()
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: h, Config: &longwire.Config{MaxFrame: 1000}})
	p := b.peer()
	p.sendFrame(0x10, data)
	p.sendFrame(0x10, `{"call_back_key":"end"}`)
	if answer = p.wantFrame(0x10); strings.Contains(answer, `"call_back_key":"end"`) {
		answer = "nothing"
	}
	return answer, b.log.lines("handler failed")
}

// once is h for all messages but the one with the key "end", which answerTo sends
// last.
func once(h longwire.Handler) longwire.Handler {
	return longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
		if m.Key() == "end" {
			return longwire.Envelope{}, nil
		}
		return h.Handle(ctx, m)
	})
}

// What becomes of a handler's return value, when the message is a question and
// when it is none.
// panics panics when it is made into JSON.
type panics struct{}

func (panics) MarshalJSON() ([]byte, error) { panic("in MarshalJSON") }

func TestAnswers(t *testing.T) {
	const (
		asked    = `{"data_type":"t\u00e9","call_back_key":"k","data":1}`
		internal = `"status":"500","message":"internal error","data":null}`
	)
	head := func(answered string) string {
		if answered == asked {
			return `{"data_type":"t\u00e9","call_back_key":"k",`
		}
		return `{"data_type":"","call_back_key":"",`
	}
	ok := func(data string) string { return `"status":"200","message":"ok","data":` + data + `}` }
	var nothing []int
	for _, test := range []struct {
		name  string
		value any
		err   error
		want  string // what follows head; or all of it, behind "="
		plain string // what a message that is no question gets, when it is something else
		fails bool   // it is this side's fault, and in the log
	}{
		{name: "nil", want: ok("null"), plain: "=nothing"},
		{name: "string", value: "see <you>\n", want: ok(`"see <you>\n"`)},
		{name: "not UTF-8", value: "\xff", want: ok(`"\ufffd"`)},
		{name: "number", value: 7, want: ok("7")},
		{name: "nil slice", value: nothing, want: ok("null")},
		{name: "bytes", value: []byte("abc"), want: ok(`"YWJj"`)},
		{name: "struct", value: struct {
			A int `json:"a"`
		}{1}, want: ok(`{"a":1}`)},
		{name: "raw JSON", value: json.RawMessage(`{ "a" : 1e400 }`), want: ok(`{"a":1e400}`)},

		{name: "Raw", value: longwire.Raw("\xc8 anything"), want: "=\xc8 anything"},
		{name: "Raw without bytes", value: longwire.Raw{}, want: "="},
		{name: "nil Raw", value: longwire.Raw(nil), want: "="},

		{name: "Envelope", value: longwire.Envelope{Data: 1}, want: ok("1")},
		{name: "*Envelope", value: &longwire.Envelope{}, want: ok("null")},
		{name: "Envelope, status", value: &longwire.Envelope{Status: "202"}, want: `"status":"202","message":"","data":null}`},
		{name: "Envelope, message", value: &longwire.Envelope{Message: `so "so"`}, want: `"status":"200","message":"so \"so\"","data":null}`},
		{name: "Envelope, all", value: longwire.Envelope{DataType: "d", CallBackKey: "c", Status: "404", Message: "m", Data: "x"},
			want: `={"data_type":"d","call_back_key":"c","status":"404","message":"m","data":"x"}`},

		{name: "*Error", err: longwire.Errorf("409", "no %d", 7), want: `"status":"409","message":"no 7","data":null}`},
		{name: "*Error, data", err: &longwire.Error{Status: "x", Data: []int{1}}, want: `"status":"x","message":"","data":[1]}`},
		{name: "*Error, wrapped", err: fmt.Errorf("secret: %w", longwire.Errorf("404", "gone")), want: `"status":"404","message":"gone","data":null}`},
		{name: "*Error and a value", value: "value", err: longwire.Errorf("404", "gone"), want: `"status":"404","message":"gone","data":null}`},
		{name: "another error", err: errors.New("secret"), want: internal, fails: true},
		{name: "another error and a value", value: "secret", err: errors.New("secret"), want: internal, fails: true},
		{name: "not to be encoded", value: func() {}, want: internal, fails: true},
		{name: "Envelope, not to be encoded", value: longwire.Envelope{Data: make(chan int)}, want: internal, fails: true},
		{name: "*Error, not to be encoded", err: &longwire.Error{Status: "404", Data: func() {}}, want: internal, fails: true},
		{name: "not JSON", value: json.RawMessage(`{"secret"`), want: internal, fails: true},
		{name: "too large", value: strings.Repeat("x", 1000), want: internal, fails: true},
		{name: "Raw, too large", value: longwire.Raw(strings.Repeat("x", 993)), want: internal, fails: true},
		{name: "Raw, as large as may be", value: longwire.Raw(strings.Repeat("x", 992)), want: "=" + strings.Repeat("x", 992)},
		{name: "nil *Envelope", value: (*longwire.Envelope)(nil), want: ok("null")},
		{name: "nil *Error", err: (*longwire.Error)(nil), want: internal, fails: true},
		{name: "*Error as the value", value: longwire.Errorf("404", "gone"), want: `"status":"404","message":"gone","data":null}`},
		{name: "*Error without status", err: &longwire.Error{Message: "no"}, want: `"status":"500","message":"no","data":null}`},
		{name: "panics in its encoding", value: panics{}, want: internal, fails: true},
		{name: "*Error, panics in its encoding", err: &longwire.Error{Status: "404", Data: panics{}}, want: internal, fails: true},
		{name: "too deep", value: json.RawMessage(strings.Repeat("[", 40) + strings.Repeat("]", 40)), want: internal, fails: true},
		{name: "*Error, too large", err: longwire.Errorf("404", "%01000d", 1), want: internal, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, data := range []string{asked, "66666"} {
				want := test.want
				if data != asked && test.plain != "" {
					want = test.plain
				}
				if rest, all := strings.CutPrefix(want, "="); all {
					want = rest
				} else {
					want = head(data) + want
				}
				got, log := answerTo(t, once(returns(test.value, test.err)), data)
				if got != want {
					t.Errorf("%s is answered by\n     %q\nwant %q", data, got, want)
				}
				if (len(log) == 1) != test.fails {
					t.Errorf("log: %q", log)
				}
			}
		})
	}
}

// What a handler is told of a message.
func TestMessage(t *testing.T) {
	type told struct{ Key, DataType, Payload, Data string }
	for _, test := range []struct {
		data string
		want told
	}{
		{`{"call_back_key":"k\n","data_type":"t\u00e9","data": {"a" : 1e400} }`, told{Key: "k\n", DataType: "té", Payload: `{"a" : 1e400}`}},
		{`{"call_back_key":"k"}`, told{Key: "k"}},
		{`{"data_type":"t","data":1}`, told{Payload: `{"data_type":"t","data":1}`}}, // no key, no question
		{`{"call_back_key":"k","call_back_key":"l"}`, told{Payload: `{"call_back_key":"k","call_back_key":"l"}`}},
		{"66666", told{Payload: "66666"}},
		{"\xc8\x00{", told{Payload: "\xc8\x00{"}},
		{"", told{}},
	} {
		seen := make(chan told, 1)
		answerTo(t, once(longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			if m.Type != 0x10 || m.Conn() == nil {
				t.Errorf("type %v, connection %v", m.Type, m.Conn())
			}
			seen <- told{m.Key(), m.DataType(), string(m.Payload()), string(m.Data)}
			return nil, nil
		})), test.data)
		test.want.Data = test.data
		if got := <-seen; got != test.want {
			t.Errorf("%q:\n got %+v\nwant %+v", test.data, got, test.want)
		}
	}
}

// An answer never reaches a handler: not an unexpected one, and not one to a
// question of the same type.
func TestAnswerThatNobodyWaitsForIsDropped(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: longwire.HandlerFunc(
		func(_ context.Context, m *longwire.Message) (any, error) {
			if m.Key() != "end" {
				t.Errorf("the handler was given %s", m.Data)
			}
			return nil, nil
		})})
	p := b.peer()
	p.sendFrame(0x10, `{"call_back_key":"k","status":"200"}`)
	p.sendFrame(0x10, `{"call_back_key":"","status":""}`)
	p.sendFrame(0x10, `{"call_back_key":"end"}`)
	p.wantAnswer(0x10, "end", "200")
	if n := b.srv.Stats().LateAnswers; n != 2 {
		t.Errorf("%d late answers were counted, want 2", n)
	}
}

func TestTyped(t *testing.T) {
	type reading struct{ Volts float64 }
	h := longwire.Typed(func(_ context.Context, r reading) (map[string]float64, error) {
		if r.Volts > 400 {
			return nil, longwire.Errorf("409", "too much")
		}
		return map[string]float64{"half": r.Volts / 2}, nil
	})
	for _, test := range []struct{ name, data, status, want string }{
		{"question", `{"call_back_key":"k","data":{"Volts":230}}`, "200", `{"half":115}`},
		{"plain message", `{"Volts":230}`, "200", `{"half":115}`},
		{"error", `{"call_back_key":"k","data":{"Volts":500}}`, "409", "null"},
		{"wrong type", `{"call_back_key":"k","data":{"Volts":"230"}}`, "400", "null"},
		{"out of range", `{"call_back_key":"k","data":{"Volts":1e400}}`, "400", "null"},
		{"no data", `{"call_back_key":"k"}`, "400", "null"},
		{"not JSON", `{"Volts":`, "400", "null"},
		{"more than JSON", `{"Volts":1} {}`, "400", "null"},
		{"nothing", ``, "400", "null"},
	} {
		t.Run(test.name, func(t *testing.T) {
			answer, log := answerTo(t, once(h), test.data)
			var e envelope
			if err := json.Unmarshal([]byte(answer), &e); err != nil {
				t.Fatal(err)
			}
			if e.Status != test.status || string(e.Data) != test.want {
				t.Errorf("%s is answered by %s", test.data, answer)
			}
			if len(log) != 0 {
				t.Errorf("the peer's fault is in the log: %q", log)
			}
		})
	}
}

// What a handler got from Decode it may return as it is.
func TestDecodeError(t *testing.T) {
	m := &longwire.Message{Type: 0x10, Data: []byte("[1,")}
	var list []int
	if e, ok := errors.AsType[*longwire.Error](m.Decode(&list)); !ok || e.Status != "400" || !strings.Contains(e.Message, "0x0010") {
		t.Errorf("%+v", e)
	}
	m.Data = []byte("[1,2]")
	if err := m.Decode(&list); err != nil || len(list) != 2 {
		t.Errorf("%v, %v", list, err)
	}
}
