package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/capture"
	"github.com/longwire/longwire/internal/show"
)

// decode is the command "longwire decode" with its flags.
type decode struct {
	viewFlags
	cmd   *cobra.Command
	as    word
	port  uint16
	guess bool
}

func newDecode() *cobra.Command {
	d := &decode{as: word{choices: []string{"capture", "hex", "raw"}}}
	d.cmd = &cobra.Command{
		Use:   "decode [FILE]",
		Short: "Print the frames in a capture, a dump or a file",
		Long: `Decode prints the frames in FILE, or in what stdin holds when that is - or
missing. It takes
  captures   pcap and pcapng files, of tcpdump, Wireshark or "longwire tap --write",
             gzipped or not; the streams of each TCP connection are put together
  hex        text of hexadecimal digits, however they are separated, and the dumps
             of xxd, hexdump -C and Wireshark
  raw        the bytes of a stream as they are
and finds out which of them it is, unless --as says so.

What is no frame is told with its offset and its bytes: which of head, length,
checksum and tail was wrong, what it was and what it should have been. It goes on at
the next whole frame, where the frames have a head, and a tail or a checksum.

With --guess it prints how the frames may look in bytes of which nobody knows it, as
the frame of a configuration and as a --frame, with what speaks for it.

The exit status is 0 when all bytes were frames, and 1 when some were not or some
are missing.`,
		Example: `  tcpdump -i any -U -w - port 10302 | longwire decode -
  longwire decode capture.pcapng --type 0x10 --json
  longwire decode capture.pcapng --port 9000 --guess
  echo 'c8 0000000d 0010 3636363636 c9' | longwire decode`,
		Args: noneOr(arguments("FILE")),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "-"
			if len(args) > 0 {
				name = args[0]
			}
			return d.run(cmd.Context(), name)
		},
	}
	f := d.cmd.Flags()
	f.SortFlags = false
	f.Var(&d.as, "as", "what FILE is: capture, hex or raw")
	f.Uint16Var(&d.port, "port", 0, "`port` of the server; without it that is the side which a connection was made to, or the lower port, and all connections are shown")
	f.BoolVar(&d.guess, "guess", false, "print how frames may look in these bytes, when nobody knows, instead of frames")
	d.addFlags(d.cmd)
	completeWord(d.cmd, "as", d.as)
	return d.cmd
}

func (d *decode) run(ctx context.Context, name string) error {
	v, err := d.viewFlags.read(d.cmd)
	if err != nil {
		return err
	}
	if d.guess && (d.text != "" || d.file != "" && d.cmd.Flags().Changed("config")) {
		return usagef("--guess finds out how frames look, and --frame and --config say it; choose one of them")
	}
	in, from := d.cmd.InOrStdin(), "stdin"
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return usagef("cannot read %s: %v", show.Printable(name), innermost(err))
		}
		defer file.Close()
		in, from = file, show.Printable(name)
	}
	stop, _, release := untilSignal(ctx)
	defer release()
	if file, is := in.(*os.File); is {
		defer context.AfterFunc(stop, func() { file.Close() })()
	}
	out := bufio.NewWriter(d.cmd.OutOrStdout())
	v.printer.Out = out
	r := &decoding{view: v, command: d.cmd.CommandPath(), stderr: d.cmd.ErrOrStderr(), from: from, port: d.port, room: show.Room{Left: mostKept}}
	read := r.read
	if d.guess {
		read = r.guess
	}
	err = read(d.as.chosen, bufio.NewReaderSize(flushing{in, out, stop}, 64<<10))
	if e := out.Flush(); e != nil && err == nil {
		err = &printError{e}
	}
	if e, ok := errors.AsType[*printError](err); ok && errors.Is(e, syscall.EPIPE) {
		return nil // a reader that has seen enough
	}
	return err
}

// mostKept is how many bytes of unfinished frames are kept, in all streams together.
const mostKept = 256 << 20

// flushing shows all that is known before it waits for more, and ends with a signal.
type flushing struct {
	io.Reader
	out  *bufio.Writer
	stop context.Context
}

func (f flushing) Read(p []byte) (int, error) {
	if err := f.out.Flush(); err != nil {
		return 0, &printError{err}
	}
	n, err := f.Reader.Read(p)
	if err != nil && f.stop.Err() != nil {
		err = io.EOF
	}
	return n, err
}

// decoding is one run of the command.
type decoding struct {
	*view
	command string
	stderr  io.Writer
	from    string
	port    uint16
	room    show.Room
	totals  show.Totals
	err     error // of printing
}

// read reads what there is, in the way that as says.
func (r *decoding) read(as string, in *bufio.Reader) error {
	if as == "" {
		as = recognize(in)
	}
	switch as {
	case "capture":
		return r.capture(in)
	case "hex":
		return r.stream(show.NewHexReader(in))
	}
	return r.stream(in)
}

// recognize says what the bytes are that come from in.
func recognize(in *bufio.Reader) string {
	begin, _ := in.Peek(capture.BeginSize)
	if capture.Is(begin) {
		return "capture"
	}
	begin, _ = in.Peek(in.Buffered())
	for _, c := range begin {
		if c != '\n' && c != '\r' && c != '\t' && (c < ' ' || c > '~') {
			return "raw"
		}
	}
	return "hex"
}

// stream reads the frames of one stream.
func (r *decoding) stream(in io.Reader) error {
	s := show.NewStream(r.codec, r.maxFrame, false, &r.room, func(e show.Event) { r.print(show.Place{Offset: e.Offset}, e) })
	buf := make([]byte, 64<<10)
	for {
		n, err := in.Read(buf)
		s.Feed(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return r.readProblem(err)
		}
		if r.err != nil {
			return r.err
		}
	}
	s.End()
	r.totals = s.Totals
	return r.sum("")
}

func (r *decoding) readProblem(err error) error {
	if e, ok := errors.AsType[*printError](err); ok {
		return e
	}
	if bad, ok := errors.AsType[*show.HexError](err); ok {
		return usagef("%s, %v; add --as raw if it is the bytes themselves that are meant", r.from, bad)
	}
	return fmt.Errorf("cannot read %s: %w", r.from, innermost(err))
}

// print prints what a stream has found.
func (r *decoding) print(at show.Place, e show.Event) {
	if r.err != nil {
		return
	}
	var err error
	switch {
	case e.IsFrame && r.filter.Passes(at, e.Frame):
		err = r.printer.Frame(at, e.Frame, e.Raw, "")
	case e.Problem != nil && r.filter.PassesDirection(at):
		err = r.printer.Problem(at, e.Problem)
	}
	r.failed(err)
}

func (r *decoding) failed(err error) {
	if err != nil && r.err == nil {
		r.err = &printError{err}
	}
}

// sum says what there was in all.
func (r *decoding) sum(of string) error {
	if r.err != nil {
		return r.err
	}
	t := &r.totals
	text := fmt.Sprintf("%s in %s%s", number(int(t.Frames), "frame"), number(int(t.Bytes), "byte"), of)
	if t.Errors == 0 {
		_, err := fmt.Fprintf(r.stderr, "%s: %s\n", r.command, text)
		return err
	}
	text += ", and " + number(int(t.Errors), "error")
	var about []string
	if t.Skipped > 0 {
		about = append(about, number(int(t.Skipped), "byte")+" in no frame")
	}
	if t.Missing > 0 {
		about = append(about, number(int(t.Missing), "byte")+" missing")
	}
	text += ": " + strings.Join(about, ", ")
	if t.Frames == 0 && t.Skipped > 0 && t.Missing == 0 {
		text += "; --guess finds out how frames look"
	}
	return errors.New(text)
}
