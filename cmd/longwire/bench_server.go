package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
)

// benchServer is the command "longwire bench server" with its flags.
type benchServer struct {
	cmd            *cobra.Command
	listen         string
	sleep          duration
	sleepType      typeFlag
	allowAnonymous bool
}

func newBenchServer() *cobra.Command {
	b := &benchServer{sleepType: 0x11}
	b.cmd = &cobra.Command{
		Use:   "server",
		Short: "Send every frame back",
		Long: `Server listens for connections and sends every frame back, with the same type and
the same data, until it receives SIGINT or SIGTERM. It is made with the library as
any program would be, with its default settings, and logs nothing.

With --sleep, the handler of one type of frames sleeps for so long before it answers,
as one does that waits for a database. Frames of other types are answered at once.

It listens on this machine's own address. On an address that others can reach it
starts only with --allow-anonymous, because anybody there could connect.`,
		Example: "  longwire bench server\n  longwire bench server --listen 127.0.0.1:0 --sleep 5ms --sleep-type 0x11",
		Args:    arguments(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return b.run(cmd.Context()) },
	}
	f := b.cmd.Flags()
	f.SortFlags = false
	f.StringVar(&b.listen, "listen", "127.0.0.1:10302", "`address` to listen on; port 0 takes a free one")
	f.Var(&b.sleep, "sleep", "how long the handler of frames of --sleep-type sleeps; 0 for not at all")
	f.Var(&b.sleepType, "sleep-type", "type of the frames whose handler sleeps, as in 17 or 0x11")
	f.BoolVar(&b.allowAnonymous, "allow-anonymous", false, "let anybody connect who reaches the address")
	fallBackAll(b.cmd)
	return b.cmd
}

func (b *benchServer) run(ctx context.Context) error {
	if problem := addressProblem(b.listen, true); problem != "" {
		return usagef("%s: %s", setting(b.cmd, "listen"), problem)
	}
	stop, _, release := untilSignal(ctx)
	defer release()
	l, problem := listenOn(stop, b.listen, b.allowAnonymous)
	if problem != "" {
		return fmt.Errorf("%s: %s", setting(b.cmd, "listen"), problem)
	}
	fmt.Fprintf(b.cmd.OutOrStdout(), "longwire: listening on %v\n", l.Addr())
	srv := &longwire.Server{Handler: b}
	defer srv.Close()
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("cannot accept connections any more: %w", innermost(err))
	case <-stop.Done():
		srv.Close()
		<-served
		return nil
	}
}

// Handle echoes a frame.
func (b *benchServer) Handle(_ context.Context, m *longwire.Message) (any, error) {
	if b.sleep > 0 && m.Type == longwire.Type(b.sleepType) {
		time.Sleep(time.Duration(b.sleep))
	}
	return m.Raw(m.Data), nil
}
