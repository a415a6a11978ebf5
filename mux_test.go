package longwire_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/longwire/longwire"
)

func TestMuxChoosesByType(t *testing.T) {
	mux := new(longwire.Mux)
	mux.Register(1, returns("one", nil))
	mux.HandleFunc(0xFEFF, func(context.Context, *longwire.Message) (any, error) { return nil, errors.New("last") })
	mux.Register(0x10000, returns("beyond", nil)) // for formats whose types have four bytes

	if answer, err := mux.Handle(t.Context(), &longwire.Message{Type: 1}); answer != "one" || err != nil {
		t.Errorf("type 1: %v, %v", answer, err)
	}
	if answer, err := mux.Handle(t.Context(), &longwire.Message{Type: 0xFEFF}); answer != nil || err.Error() != "last" {
		t.Errorf("type 0xFEFF: %v, %v", answer, err)
	}
	if answer, err := mux.Handle(t.Context(), &longwire.Message{Type: 0x10000}); answer != "beyond" || err != nil {
		t.Errorf("type 0x10000: %v, %v", answer, err)
	}

	answer, err := mux.Handle(t.Context(), &longwire.Message{Type: 2})
	if e, ok := errors.AsType[*longwire.Error](err); answer != nil || !ok || e.Status != "404" || !strings.Contains(e.Message, "0x0002") {
		t.Errorf("type 2, which has no handler: %v, %v", answer, err)
	}
	mux.Fallback = returns("fallback", nil)
	if answer, err := mux.Handle(t.Context(), &longwire.Message{Type: 2}); answer != "fallback" || err != nil {
		t.Errorf("type 2, with a fallback: %v, %v", answer, err)
	}
	if answer, _ := mux.Handle(t.Context(), &longwire.Message{Type: 1}); answer != "one" {
		t.Errorf("type 1, with a fallback: %v", answer)
	}
}

func TestZeroMuxAnswersNotFound(t *testing.T) {
	for _, data := range []string{`{"call_back_key":"k"}`, "66666"} {
		answer, log := answerTo(t, new(longwire.Mux), data)
		if !strings.Contains(answer, `"status":"404"`) || len(log) != 0 {
			t.Errorf("%s is answered by %s; log: %q", data, answer, log)
		}
	}
}

func TestRegisterPanics(t *testing.T) {
	h := returns(nil, nil)
	for _, test := range []struct {
		name     string
		register func(*longwire.Mux)
		want     string
	}{
		{"nil", func(m *longwire.Mux) { m.Register(2, nil) }, "longwire: the handler of type 0x0002 is nil"},
		{"nil function", func(m *longwire.Mux) { m.HandleFunc(2, nil) }, "longwire: the handler of type 0x0002 is nil"},
		{"nil HandlerFunc", func(m *longwire.Mux) { m.Register(2, longwire.HandlerFunc(nil)) }, "longwire: the handler of type 0x0002 is nil"},
		{"hello", func(m *longwire.Mux) { m.Register(longwire.TypeHello, h) }, "longwire: type 0xff00 is reserved"},
		{"last reserved", func(m *longwire.Mux) { m.Register(0xFFFF, h) }, "longwire: type 0xffff is reserved"},
		{"twice", func(m *longwire.Mux) { m.Register(1, h) }, "longwire: type 0x0001 has a handler already"},
	} {
		t.Run(test.name, func(t *testing.T) {
			mux := new(longwire.Mux)
			mux.Register(1, h)
			defer func() {
				if got := recover(); got != test.want {
					t.Errorf("panic: %v\nwant:  %v", got, test.want)
				}
			}()
			test.register(mux)
		})
	}
}
