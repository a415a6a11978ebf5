package main

import (
	"bufio"
	"errors"
	"io"

	"github.com/longwire/longwire/internal/capture"
	"github.com/longwire/longwire/internal/show"
)

// How many bytes are kept to guess from: in all, and of one stream, so that there are others too.
const (
	mostGuessed       = 4 << 20
	mostGuessedStream = 512 << 10
)

// errEnoughBytes ends the reading of a capture that may have no end.
var errEnoughBytes = errors.New("there are enough bytes to guess from")

// guess prints the formats that the bytes may have.
func (r *decoding) guess(as string, in *bufio.Reader) error {
	if as == "" {
		as = recognize(in)
	}
	var streams [][]byte
	switch as {
	case "capture":
		var err error
		if streams, err = r.captured(in); err != nil {
			return err
		}
	case "hex":
		all, err := io.ReadAll(io.LimitReader(show.NewHexReader(in), mostGuessed))
		if err != nil {
			return r.readProblem(err)
		}
		streams = [][]byte{all}
	default:
		all, err := io.ReadAll(io.LimitReader(in, mostGuessed))
		if err != nil {
			return r.readProblem(err)
		}
		streams = [][]byte{all}
	}
	return suggest(r.printer.Out, streams)
}

// captured returns the beginnings of the streams of a capture. Behind missing bytes another one begins.
func (r *decoding) captured(in io.Reader) (streams [][]byte, err error) {
	type direction struct {
		conn     *capture.Conn
		toServer bool
	}
	at, all := make(map[direction]int), 0
	report, err := capture.Read(in, capture.Options{Port: r.port}, func(p capture.Piece) error {
		d := direction{p.Conn, p.ToServer}
		if p.Missing > 0 || p.End {
			delete(at, d)
			return nil
		}
		i, begun := at[d]
		if !begun {
			i = len(streams)
			at[d] = i
			streams = append(streams, nil)
		}
		data := p.Data[:min(len(p.Data), mostGuessedStream-len(streams[i]))]
		streams[i] = append(streams[i], data...)
		if all += len(data); all >= mostGuessed {
			return errEnoughBytes
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnoughBytes) {
		return nil, r.captureProblem(err, &report)
	}
	return streams, nil
}
