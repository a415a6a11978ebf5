package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

// The same question over TCP on the loopback interface: asked over HTTP, asked of the gateway, and
// asked with the library alone.

const benchData = `{"rom":"status"}`

func listen(b *testing.B) net.Listener {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// benchGateway serves on ports of its own, with boards of these ids.
func benchGateway(b *testing.B, ids ...string) (g *gateway.Gateway, url string) {
	b.Helper()
	boards, web := listen(b), listen(b)
	g, err := gateway.New(&gateway.Config{Listeners: []gateway.Listener{{Name: "boards", Socket: boards}}}, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	api, err := httpapi.New(g, httpapi.Config{Loopback: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 2)
	go func() { served <- g.Serve(ctx, ctx) }()
	go func() { served <- api.Serve(ctx, web) }()
	b.Cleanup(func() {
		cancel()
		<-served
		<-served
	})
	for _, id := range ids {
		c, err := (&longwire.Client{Addr: boards.Addr().String(), Hello: &longwire.Hello{ID: id}, Handler: echo}).Dial(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			c.Close(longwire.ReasonClosed)
			<-c.Done()
		})
	}
	return g, "http://" + web.Addr().String()
}

// benchLibrary serves with the library alone. It returns the connections of so many boards.
func benchLibrary(b *testing.B, boards int) (conns []*longwire.Conn) {
	b.Helper()
	l := listen(b)
	admitted := make(chan *longwire.Conn, boards)
	srv := &longwire.Server{Admit: func(_ context.Context, c *longwire.Conn) (func(error), error) {
		admitted <- c
		return nil, nil
	}}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	b.Cleanup(func() {
		srv.Close()
		<-served
	})
	for range boards {
		board, err := longwire.Dial(b.Context(), l.Addr().String(), echo)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			board.Close(longwire.ReasonClosed)
			<-board.Done()
		})
		conns = append(conns, <-admitted)
		if err := board.Push(b.Context(), 1, nil); err != nil { // which is handled when it has been let in
			b.Fatal(err)
		}
	}
	return conns
}

// askOver asks a board over HTTP.
func askOver(client *http.Client, url, id string) error {
	r, err := client.Post(url+"/v1/devices/"+id+"/ask", "application/json", strings.NewReader(`{"type":16,"data":`+benchData+`}`))
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if _, err := io.Copy(io.Discard, r.Body); err != nil || r.StatusCode != 200 {
		return fmt.Errorf("status %d, %v", r.StatusCode, err)
	}
	return nil
}

func BenchmarkAskHTTP(b *testing.B) {
	_, url := benchGateway(b, "a")
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for b.Loop() {
		if err := askOver(client, url, "a"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAskGateway(b *testing.B) {
	g, _ := benchGateway(b, "a")
	for b.Loop() {
		if _, err := g.Ask(b.Context(), "a", gateway.Question{Type: 16, Data: json.RawMessage(benchData)}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAskLibrary(b *testing.B) {
	c := benchLibrary(b, 1)[0]
	var answer json.RawMessage
	for b.Loop() {
		if err := c.Ask(b.Context(), 16, json.RawMessage(benchData), &answer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAskMany has 64 questions in flight at a time, one to each of 64 boards: over HTTP and
// with the library alone, in turns of 3,200 questions.
func BenchmarkAskMany(b *testing.B) {
	const boards, each = 64, 50
	ids := make([]string, boards)
	for i := range ids {
		ids[i] = fmt.Sprint("b", i)
	}
	_, url := benchGateway(b, ids...)
	transport := &http.Transport{MaxIdleConnsPerHost: boards}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	conns := benchLibrary(b, boards)

	// inTurn has every board asked, and returns how long that took.
	inTurn := func(ask func(board int) error) time.Duration {
		var asking sync.WaitGroup
		began := time.Now()
		for i := range boards {
			asking.Go(func() {
				for range each {
					if err := ask(i); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		asking.Wait()
		return time.Since(began)
	}
	var overHTTP, library time.Duration
	asked := 0.0
	for b.Loop() {
		overHTTP += inTurn(func(i int) error { return askOver(client, url, ids[i]) })
		library += inTurn(func(i int) error {
			var answer json.RawMessage
			return conns[i].Ask(b.Context(), 16, json.RawMessage(benchData), &answer)
		})
		asked += boards * each
	}
	b.ReportMetric(asked/overHTTP.Seconds(), "HTTP-asks/s")
	b.ReportMetric(asked/library.Seconds(), "library-asks/s")
	b.ReportMetric(overHTTP.Seconds()/library.Seconds(), "ratio")
}
