package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
)

func TestEvents(t *testing.T) {
	bubble(t, &Config{Types: []Type{{Name: "reading", Type: 7}}}, func(t *testing.T, g *running) {
		from := g.LastEvent()
		c := g.wantBoard("a", "", nil)
		c.Ask(t.Context(), 7, map[string]int{"x": 1}, nil)
		c.Push(t.Context(), 8, longwire.Raw("\xff"))
		c.Push(t.Context(), 9, longwire.Raw(make([]byte, maxEventData+1)))
		synctest.Wait()
		events, missed, err := g.Events(from).Next(t.Context(), 100)
		if err != nil || missed != 0 || len(events) != 5 {
			t.Fatalf("%+v, %d, %v", events, missed, err)
		}
		reading, bytes, large := events[2], events[3], events[4]
		if reading.Name != EventMessage || reading.Device != "a" || *reading.Type != 7 || reading.TypeName != "reading" || string(reading.Data) != `{"x":1}` || reading.Key == "" {
			t.Errorf("%+v", reading)
		}
		if string(bytes.Raw) != "\xff" || bytes.Data != nil || bytes.Size != 1 {
			t.Errorf("%+v", bytes)
		}
		if large.Raw != nil || large.Data != nil || large.Size != maxEventData+1 {
			t.Errorf("%d bytes of %d", len(large.Raw), large.Size)
		}
		// From any point that is remembered, in pieces of any size.
		for i := range events {
			rest, _, err := g.Events(events[i].ID-1).Next(t.Context(), 2)
			if err != nil || rest[0].ID != events[i].ID || len(rest) != min(2, len(events)-i) {
				t.Errorf("behind %d: %+v, %v", i, rest, err)
			}
		}
		// And what is not there yet is waited for.
		go func() {
			time.Sleep(time.Minute)
			c.Close(longwire.ReasonClosed)
		}()
		began := time.Now()
		rest, _, err := g.Events(events[4].ID).Next(t.Context(), 100)
		if err != nil || len(rest) != 1 || rest[0].Name != EventDisconnect || rest[0].Reason != "peer_closed" || time.Since(began) != time.Minute {
			t.Errorf("%+v, %v after %v", rest, err, time.Since(began))
		}
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, errors.New("enough"))
		defer cancel()
		if rest, _, err := g.Events(1<<62).Next(ctx, 1); err == nil || err.Error() != "enough" {
			t.Errorf("%+v, %v", rest, err)
		}
	})
}

// Who reads too slowly is told how much is gone, and the memory stays bounded.
func TestEventsThatAreNotRememberedAnyMore(t *testing.T) {
	f := new(Gateway)
	f.events.init(0, time.Now())
	from := f.LastEvent()
	const n = keepEvents + 1000
	for i := range n {
		f.events.add(Event{Device: fmt.Sprint(i)})
	}
	events, missed, err := f.Events(from).Next(t.Context(), 10)
	if err != nil || missed != 1000 || events[0].Device != "1000" {
		t.Errorf("%+v, %d, %v", events[:1], missed, err)
	}
	if events, missed, err = f.Events(from-1_000_000).Next(t.Context(), 1); err != nil || missed != 1000 {
		t.Errorf("behind an event of an earlier run: %+v, %d, %v", events, missed, err)
	}
	if events, missed, err = f.Events(0).Next(t.Context(), 1); err != nil || missed != 0 {
		t.Errorf("from the beginning: %+v, %d, %v", events, missed, err)
	}
	for range 1000 {
		f.events.add(Event{Raw: make([]byte, maxEventData)})
	}
	if f.events.size > keepEventSize || f.events.next-f.events.first != keepEventSize/maxEventData {
		t.Errorf("%d bytes in %d events", f.events.size, f.events.next-f.events.first)
	}
}

func TestFrames(t *testing.T) {
	bubble(t, &Config{Frames: 3, FrameData: true}, func(t *testing.T, g *running) {
		c := g.wantBoard("a", "", nil)
		if frames, err := g.Frames("a"); err != nil || len(frames) != 0 {
			t.Errorf("%+v, %v", frames, err)
		}
		for range 3 {
			c.Ask(t.Context(), 7, "x", nil)
		}
		c.Push(t.Context(), 8, longwire.Raw(make([]byte, 5000)))
		synctest.Wait()
		frames, err := g.Frames("a")
		if err != nil || len(frames) != 3 {
			t.Fatalf("%+v, %v", frames, err)
		}
		if f := frames[0]; f.Direction != Out || f.Type != 7 || f.Size != len(f.Data) {
			t.Errorf("%+v", f)
		}
		if want := `{"data_type":"","call_back_key":"`; !strings.HasPrefix(string(frames[0].Data), want) || !strings.HasSuffix(string(frames[0].Data), `,"status":"200","message":"ok","data":null}`) {
			t.Errorf("%s", frames[0].Data)
		}
		if f := frames[1]; f.Direction != In || f.Type != 8 || f.Size != 5000 || len(f.Data) != maxRecorded {
			t.Errorf("%+v", f)
		}
		if _, err := g.Frames("b"); err != ErrUnknown {
			t.Error(err)
		}
	})
}

func TestReload(t *testing.T) {
	conf := &Config{Listeners: []Listener{{Name: "boards", Login: Login{Tokens: tokens("a", "1")}}}}
	bubble(t, conf, func(t *testing.T, g *running) {
		first := g.wantBoard("a", "1", nil)
		g.wantRefused("b", "2", "401")
		next := *conf
		next.Listeners = []Listener{{Name: "boards", Login: Login{Tokens: tokens("b", "2")}}}
		next.Types = []Type{{Name: "reading", Type: 7, Ack: AckNever}}
		if err := g.Reload(&next); err != nil {
			t.Fatal(err)
		}
		g.wantBoard("b", "2", nil)
		g.wantRefused("a", "1", "401")
		if first.Err() != nil {
			t.Error("who is connected stays")
		}
		if g.TypeName(7) != "reading" {
			t.Error("the name of a type is not known")
		}
		for range 100 {
			broken := next
			broken.Types = []Type{{Type: 1}, {Type: 1}}
			if g.Reload(&broken) == nil {
				t.Fatal("a broken configuration is taken")
			}
			broken = next
			broken.Listeners = []Listener{{Name: "other"}}
			if g.Reload(&broken) == nil {
				t.Fatal("another listener is taken")
			}
		}
		if first.Err() != nil || g.TypeName(7) != "reading" {
			t.Error("a broken configuration has changed something")
		}
	})
}
