package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/capture"
	"github.com/longwire/longwire/internal/show"
	"github.com/longwire/longwire/internal/tap"
)

// tapCommand is the command "longwire tap" with its flags.
type tapCommand struct {
	viewFlags
	cmd           *cobra.Command
	listen, to    string
	write         string
	conns         count
	faults        word
	delay, jitter duration
	split         count
	drop          []string
	dropEvery     count
	cutAfter      cut
}

func newTap() *cobra.Command {
	t := &tapCommand{conns: 1000, faults: word{choices: directions}}
	t.cmd = &cobra.Command{
		Use:   "tap --listen ADDR --to ADDR",
		Short: "Stand between boards and their server, and print each frame",
		Long: `Tap listens at one address, connects to the other for each connection that it
gets, passes on what both sides send, and prints the frames in it, until it receives
SIGINT or SIGTERM. What is no frame is passed on unchanged, and printed with its
offset and its bytes. TLS is passed on and not looked into.

With --write all that passes is recorded in a pcapng file, which "longwire decode",
Wireshark and tcpdump read: the bytes as they came, with their times and addresses,
in packets that are made up around them.

The flags from --delay on make the network a bad one: what they do is done to both
directions, or to that of --faults. With --drop, --drop-every and --cut-after frames, the
bytes of a frame are passed on when all of it is there.

What is printed is waited for: when nobody reads it, nothing passes.`,
		Example: `  longwire tap --listen 127.0.0.1:10303 --to 127.0.0.1:10302
  longwire tap --listen :10303 --to 10.0.0.7:10302 --type 0x10 --write today.pcapng
  longwire tap --listen :10303 --to 10.0.0.7:10302 --delay 200ms --split 1 --faults to-board`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return t.run(cmd.Context()) },
	}
	f := t.cmd.Flags()
	f.SortFlags = false
	f.StringVar(&t.listen, "listen", "", "`address` for the boards to connect to; port 0 takes a free one")
	f.StringVar(&t.to, "to", "", "`address` of the server")
	f.StringVar(&t.write, "write", "", "record all that passes in this pcapng `file`, which must not be there yet")
	f.Var(&t.conns, "connections", "how many there may be at a time; those above are refused")
	t.addFlags(t.cmd)
	f.Var(&t.delay, "delay", "pass bytes on so much later")
	f.Var(&t.jitter, "jitter", "and up to so much more, at random; the order stays")
	f.Var(&t.split, "split", "pass on at most so many bytes in each write")
	f.StringSliceVar(&t.drop, "drop", nil, "do not pass on frames of these `types`")
	f.Var(&t.dropEvery, "drop-every", "do not pass on the last of each so many frames of a direction")
	f.Var(&t.cutAfter, "cut-after", "break each connection off after so many frames (10frames), bytes (64KiB) or so long (30s)")
	f.Var(&t.faults, "faults", "which direction they are for: to-server or to-board")
	completeWord(t.cmd, "faults", t.faults)
	return t.cmd
}

func (t *tapCommand) run(ctx context.Context) error {
	conf, err := t.config()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", t.listen)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", t.listen, innermost(err))
	}
	if t.write != "" {
		file, err := os.OpenFile(t.write, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // what boards say may be secret
		if err != nil {
			listener.Close()
			return usagef("--write: cannot make %s: %v", show.Printable(t.write), innermost(err))
		}
		defer file.Close()
		if conf.Record, err = capture.NewWriter(file); err != nil {
			listener.Close()
			return fmt.Errorf("cannot write %s: %w", show.Printable(t.write), innermost(err))
		}
	}
	stop, _, release := untilSignal(ctx)
	defer release()
	conf.Say(fmt.Sprintf("listening on %v, for %s", listener.Addr(), t.to))
	seen, err := tap.Serve(stop, listener, conf)
	if e, ok := errors.AsType[*tap.PrintError](err); ok && errors.Is(e, syscall.EPIPE) {
		return nil // a reader that has seen enough
	} else if ok {
		return &printError{e}
	}
	if err != nil {
		return err
	}
	conf.Say(fmt.Sprintf("%s, %s in %s, %s", number(seen.Connections, "connection"), number(int(seen.Frames), "frame"),
		number(int(seen.Bytes), "byte"), number(int(seen.Errors), "error")))
	return nil
}

// config returns what the flags say.
func (t *tapCommand) config() (conf tap.Config, err error) {
	v, err := t.viewFlags.read(t.cmd)
	if err != nil {
		return conf, err
	}
	for _, a := range []struct {
		flag, address string
		anyPort       bool
	}{{"listen", t.listen, true}, {"to", t.to, false}} {
		if a.address == "" {
			return conf, usagef("needs --%s, and was given none; see %s --help", a.flag, t.cmd.CommandPath())
		}
		if problem := addressProblem(a.address, a.anyPort); problem != "" {
			return conf, usagef("--%s: %s", a.flag, problem)
		}
	}
	if t.conns == 0 {
		return conf, usagef("--connections: must be more than 0")
	}
	drop, err := v.readTypes("drop", t.drop)
	if err != nil {
		return conf, err
	}
	faults := tap.Faults{
		Direction: t.faults.chosen, Delay: time.Duration(t.delay), Jitter: time.Duration(t.jitter), Split: int(t.split),
		Drop: drop, DropEvery: int(t.dropEvery), Cut: tap.Cut(t.cutAfter.Cut),
	}
	if t.faults.chosen != "" && faults.Delay+faults.Jitter == 0 && faults.Split == 0 && len(drop) == 0 && faults.DropEvery == 0 && t.cutAfter.text == "" {
		return conf, usagef("--faults says for which direction, and no fault was asked for; see %s --help", t.cmd.CommandPath())
	}
	v.printer.Out = t.cmd.OutOrStdout()
	return tap.Config{
		Codec: v.codec, MaxFrame: v.maxFrame, Conns: int(t.conns), Printer: v.printer, Filter: v.filter, Faults: faults,
		Dial: func(ctx context.Context) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", t.to)
			if err != nil {
				return nil, innermost(err)
			}
			return c, nil
		},
		Say: func(text string) { fmt.Fprintf(t.cmd.ErrOrStderr(), "%s: %s\n", t.cmd.CommandPath(), text) },
	}, nil
}

// A cut is the flag --cut-after.
type cut struct {
	tap.Cut
	text string
}

func (c *cut) Set(text string) error {
	c.Cut, c.text = tap.Cut{}, text
	if digits, is := strings.CutSuffix(strings.TrimSuffix(text, "s"), "frame"); is {
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 32)
		if err != nil || n <= 0 {
			return fmt.Errorf("%q is no number of frames; write it as in 10frames", text)
		}
		c.Frames = n
		return nil
	}
	var long duration
	if long.Set(text) == nil && long > 0 {
		c.After = time.Duration(long)
		return nil
	}
	var bytes size
	if bytes.Set(text) == nil && bytes > 0 {
		c.Bytes = int64(bytes)
		return nil
	}
	return fmt.Errorf("%q is neither frames nor bytes nor a time; write it as in 10frames, 64KiB or 30s", text)
}

func (c *cut) String() string { return c.text }
func (c *cut) Type() string   { return "what" }
