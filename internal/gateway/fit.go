package gateway

import (
	"strings"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/queue"
)

// setFrame notes what fits in a frame of a port.
func (p *port) setFrame(codec *frame.Codec, maxFrame int) {
	p.overhead, p.maxType, p.maxFrame = codec.Overhead(), codec.MaxType(), maxFrame
	if maxFrame == 0 {
		p.maxFrame = frame.DefaultMaxFrame
	}
	if maxFrame < 0 || p.maxFrame > codec.MaxSize() {
		p.maxFrame = codec.MaxSize()
	}
}

// fits returns why so many bytes of a type are in no frame of a port.
func (p *port) fits(t longwire.Type, size int) error {
	switch {
	case t > p.maxType:
		return &frame.Error{Reason: frame.BadType, Got: uint64(t), Want: uint64(p.maxType)}
	case size+p.overhead > p.maxFrame:
		return &frame.Error{Reason: frame.TooLarge, Got: uint64(size + p.overhead), Want: uint64(p.maxFrame)}
	}
	return nil
}

// fits returns why a command can never be sent to a device, as far as that is known: one that is
// away may come back to any listener.
func (g *Gateway) fits(id string, t longwire.Type, size int) error {
	s, err := g.session(id)
	if err == nil {
		return s.port.fits(t, size)
	}
	for _, p := range g.ports {
		if err = p.fits(t, size); err == nil {
			break
		}
	}
	return err
}

// sizeOf returns how many bytes the frames of a command have beside what every frame has.
func sizeOf(r *queue.Request) int {
	_, sent := (&Question{Data: r.Data, Raw: r.Raw}).encode(strings.Repeat("x", queue.IDSize))
	return len(sent)
}
