package longwire_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/longwire/longwire"
)

// A server that answers questions of type 0x10.
func Example_server() {
	mux := new(longwire.Mux)
	mux.HandleFunc(0x10, func(ctx context.Context, m *longwire.Message) (any, error) {
		return map[string]any{"rom": 7, "ready": true}, nil
	})
	srv := &longwire.Server{Addr: "127.0.0.1:10302", Handler: mux}
	if err := srv.ListenAndServe(); !errors.Is(err, longwire.ErrServerClosed) {
		log.Fatal(err)
	}
}

// A client that asks one question.
func Example_client() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, err := longwire.Dial(ctx, "127.0.0.1:10302", nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(longwire.ReasonClosed)

	var rom struct{ Ready bool }
	if err := c.Ask(ctx, 0x10, "rom status?", &rom); err != nil {
		log.Fatal(err)
	}
	fmt.Println(rom.Ready)
}

// A board that stays connected, answers what it is asked, and pushes a reading
// every minute.
func ExampleClient_Run() {
	mux := new(longwire.Mux)
	mux.HandleFunc(0x11, func(ctx context.Context, m *longwire.Message) (any, error) {
		return "firmware 1.4.2", nil
	})
	client := &longwire.Client{
		Addr:    "127.0.0.1:10302",
		Handler: mux,
		Hello:   &longwire.Hello{ID: "meter-7", Token: "secret"},
		Online: func(ctx context.Context, c *longwire.Conn) {
			for ctx.Err() == nil {
				c.Push(ctx, 0x20, map[string]float64{"celsius": 21.5})
				select {
				case <-time.After(time.Minute):
				case <-ctx.Done():
				}
			}
		},
	}
	log.Fatal(client.Run(context.Background()))
}

func ExampleConn_Ask() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	srv := &longwire.Server{Handler: longwire.Typed(func(_ context.Context, name string) (string, error) {
		if name == "" {
			return "", longwire.Errorf(longwire.StatusBadRequest, "who are you?")
		}
		return "hello " + name, nil
	})}
	go srv.Serve(l)
	defer srv.Close()

	ctx := context.Background()
	c, err := longwire.Dial(ctx, l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(longwire.ReasonClosed)

	var greeting string
	if err := c.Ask(ctx, 0x10, "meter-7", &greeting); err != nil {
		log.Fatal(err)
	}
	fmt.Println(greeting)

	err = c.Ask(ctx, 0x10, "", &greeting)
	if refused, ok := errors.AsType[*longwire.RemoteError](err); ok {
		fmt.Println(refused.Status, refused.Message)
	}
	// Output:
	// hello meter-7
	// 400 who are you?
}

// Boards that repeat no key can be asked too: the next frame of the same type is
// the answer.
func ExampleConn_AskByType() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	board := &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
		return longwire.Raw("OK " + string(m.Data)), nil
	})}
	go board.Serve(l)
	defer board.Close()

	ctx := context.Background()
	c, err := longwire.Dial(ctx, l.Addr().String(), nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close(longwire.ReasonClosed)

	var raw longwire.Raw
	if err := c.AskByType(ctx, 0x10, longwire.Raw("66666"), &raw); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", raw)
	// Output: OK 66666
}

// A login: the hello's token is checked before any handler runs. What Admit returns
// runs when the connection is over.
func ExampleServer_admit() {
	srv := &longwire.Server{
		Addr:    "127.0.0.1:10302",
		Handler: new(longwire.Mux),
		Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			m, err := c.Receive(ctx)
			if err != nil {
				return nil, err
			}
			var hello longwire.Hello
			if m.Type != longwire.TypeHello || m.Decode(&hello) != nil || hello.Token != "secret" {
				return nil, longwire.Errorf(longwire.StatusUnauthorized, "unknown token")
			}
			c.SetID(hello.ID)
			log.Printf("%s is online", c.ID())
			return func(reason error) { log.Printf("%s is offline: %v", c.ID(), reason) }, nil
		},
	}
	if err := srv.ListenAndServe(); !errors.Is(err, longwire.ErrServerClosed) {
		log.Fatal(err)
	}
}

// Everything that a server counts, for Prometheus and without a dependency.
func ExampleStats_All() {
	srv := &longwire.Server{Addr: "127.0.0.1:10302"}
	go srv.ListenAndServe()

	http.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		last := ""
		for m, n := range srv.Stats().All() {
			if m.Name != last {
				kind := "gauge"
				if m.Counter {
					kind = "counter"
				}
				fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", m.Name, m.Help, m.Name, kind)
				last = m.Name
			}
			if m.Label != "" {
				fmt.Fprintf(w, "%s{%s=%q} %d\n", m.Name, m.Label, m.Value, n)
			} else {
				fmt.Fprintf(w, "%s %d\n", m.Name, n)
			}
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:9100", nil))
}

// A new tariff goes to every meter that is connected.
func ExampleBroadcast() {
	srv := &longwire.Server{Addr: "127.0.0.1:10302"}
	go srv.ListenAndServe()

	queued, err := longwire.Broadcast(srv.Conns(), 0x30, map[string]float64{"tariff": 0.31})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("sent to", queued)
}
