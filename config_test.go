package longwire_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

func TestConfigThatCannotWorkIsRefusedByName(t *testing.T) {
	bare := frame.Format{Length: frame.Length{Width: 2}, Type: frame.TypeField{Offset: 2, Width: 2}}
	tests := []struct {
		field string
		conf  longwire.Config
	}{
		{"Config.Format: frame: format: Length.Width", longwire.Config{Format: frame.Format{Head: "x"}}},
		{"Config.Resync", longwire.Config{Format: bare, Resync: 1}},
		{"Config.MaxFrame", longwire.Config{MaxFrame: 7}},
	}
	for _, test := range tests {
		srv := &longwire.Server{Addr: "127.0.0.1:0", Config: &test.conf}
		err := srv.ListenAndServe()
		if err == nil || !strings.Contains(err.Error(), test.field) {
			t.Errorf("%v, want an error that names %s", err, test.field)
		}
		if err := srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := (&longwire.Server{Addr: "nowhere:x"}).ListenAndServe(); err == nil || !strings.Contains(err.Error(), "Server.Addr") {
		t.Errorf("%v, want an error that names Server.Addr", err)
	}
	noType := &longwire.Config{Format: frame.Format{Length: frame.Length{Width: 4}}}
	if _, err := (&longwire.Client{Hello: &longwire.Hello{}, Config: noType}).Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "Client.Hello") {
		t.Errorf("%v, want an error that names Client.Hello", err)
	}
}

func TestNegativeMeansOff(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo, Config: &longwire.Config{
		MaxFrame: -1, MaxInbox: -1, MaxOutbox: -1, AdmitTimeout: -1, FrameTimeout: -1, WriteTimeout: -1, PingInterval: -1, Resync: -1}})
	p := b.peer()
	large := strings.Repeat("x", 3<<20)
	go p.nc.Write(wire(1, large))
	if p.wantFrame(1) != large {
		t.Error("3 MiB did not come back")
	}
}

func TestOtherFormats(t *testing.T) {
	formats := map[string]frame.Format{
		"little-endian with CRC": {
			Head: "\x55\xAA", Length: frame.Length{Offset: 2, Width: 2, Counts: frame.CountsData}, Type: frame.TypeField{Offset: 4, Width: 2},
			Order: frame.LittleEndian, Checksum: frame.Checksum{Kind: frame.CRC16Modbus, From: 2, Order: frame.LittleEndian},
		},
		"no type": {Length: frame.Length{Width: 4, Counts: frame.CountsRest}},
		"type of one byte before the length": {
			Head: "~", Type: frame.TypeField{Offset: 1, Width: 1}, Length: frame.Length{Offset: 2, Width: 1}, Tail: "\r\n",
		},
	}
	for name, format := range formats {
		t.Run(name, func(t *testing.T) {
			overNetworks(t, func(t *testing.T, n network) {
				conf := &longwire.Config{Format: format, PoisonData: true}
				b := serve(t, n, &longwire.Server{Handler: echo, Config: conf})
				cl := &longwire.Client{Addr: b.addr, DialContext: n.dial, Config: conf}
				c, err := cl.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close(longwire.ReasonClosed)
				for _, data := range []string{"", "66666", "~\x55\xAA\r\n"} {
					var got longwire.Raw
					if err := c.AskByType(t.Context(), 0, longwire.Raw(data), &got); err != nil || string(got) != data {
						t.Errorf("%q came back as %q, %v", data, got, err)
					}
				}
				var e *frame.Error
				if err := c.Push(t.Context(), 0x10000, nil); !errors.As(err, &e) || e.Reason != frame.BadType {
					t.Errorf("a type that does not fit: %v", err)
				}
			})
		})
	}
}
