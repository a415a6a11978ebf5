package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/longwire/longwire/longwiretest"
)

// BenchmarkDevices lists some of 100,000 devices. While the registry is looked through no board
// can connect and no message finds its device.
func BenchmarkDevices(b *testing.B) {
	const known = 100_000
	var network longwiretest.Network
	l, err := network.Listen("127.0.0.1:10302")
	if err != nil {
		b.Fatal(err)
	}
	g, err := New(&Config{MaxDevices: 10 * known, Listeners: []Listener{{Name: "boards", Socket: l}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, ctx) }()
	defer func() {
		cancel()
		<-served
	}()
	ids := rand.Perm(2 * known)
	meet := func() {
		c, err := network.Dial(b.Context(), "127.0.0.1:10302")
		if err != nil {
			b.Fatal(err)
		}
		visit(b, c, fmt.Sprintf("m-%06d", ids[0]))
		ids = ids[1:]
	}
	for range known {
		meet()
	}
	first := Query{Limit: 100}
	g.Devices(first)
	b.Run("first page", func(b *testing.B) {
		for b.Loop() {
			g.Devices(first)
		}
	})
	b.Run("first page after a new device", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			meet()
			b.StartTimer()
			g.Devices(first)
		}
	})
	b.Run("none of all", func(b *testing.B) {
		for b.Loop() {
			g.Devices(Query{Group: "nobody", Limit: 100})
		}
	})
	b.Run("most frames", func(b *testing.B) {
		for b.Loop() {
			g.Rank(first, Ranking{By: ByFramesIn, Descending: true})
		}
	})
	b.Run("found", func(b *testing.B) {
		for b.Loop() {
			g.Rank(Query{Search: "1234", Limit: 100}, Ranking{})
		}
	})
}
