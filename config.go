package longwire

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"time"

	"github.com/longwire/longwire/frame"
)

const (
	defaultQueue        = 1 << 20
	defaultAdmitTimeout = 10 * time.Second
	defaultFrameTimeout = 10 * time.Second
	defaultWriteTimeout = 10 * time.Second
	defaultPingInterval = 30 * time.Second
	defaultSoftTime     = 60 * time.Second
	defaultMinRate      = 16 << 10
	unadmittedMaxFrame  = 4 << 10
)

// A Config holds what connections of a [Server] and of a [Client] have in common.
// The zero Config is valid. It is copied when a Server begins to serve or a
// Client to dial; later changes have no effect.
//
// Times are looked at once a second, so each may be exceeded by up to a second; more
// than 24 days are taken for 24 days.
type Config struct {
	// Format is the frame. The zero Format is the default frame, see package
	// frame. Ping, hello and goaway need a type field of at least 2 bytes.
	Format frame.Format

	// MaxFrame is the size in bytes, head to tail, of the largest frame to accept
	// and to send. Zero means 1 MiB; negative means no limit but the format's.
	// Until Server.Admit has let a peer in, at most 4 KiB are accepted from it.
	MaxFrame int

	// Resync is how many bytes of one connection may be skipped in search of the
	// next whole frame when bytes arrive that are none. Zero and negative mean
	// that such a connection is closed at once, as it always is before the peer
	// is admitted. A positive value needs a format with a head, and a tail or a
	// checksum.
	Resync int

	// MaxInbox is how many bytes of messages may wait for the handler of one
	// connection, besides those it has begun with. When more arrive, reading
	// pauses; while an Ask on the same connection waits for its answer, reading
	// goes on and messages over the limit are refused: questions with status
	// "429", others are dropped and counted. Zero means 1 MiB; negative means no
	// limit.
	MaxInbox int

	// MaxOutbox is how many bytes may wait to be sent on one connection. When
	// there are as many, Push, Ask and answers wait for room. Zero means 1 MiB;
	// negative means no limit.
	MaxOutbox int

	// MaxOutboxFrames is how many frames may wait to be sent on one connection, with
	// the same consequence. Zero means 65,536; negative means no limit.
	MaxOutboxFrames int

	// SoftOutbox is how many bytes may wait to be sent on one connection for longer
	// than SoftOutboxTime. Then the connection ends, with [ReasonOverflow]. Zero and
	// negative mean no such limit. The idea is that of Redis, whose limits for the
	// buffers of clients are a hard one and a soft one with a time.
	SoftOutbox int

	// SoftOutboxTime is that time. Zero means 60 s.
	SoftOutboxTime time.Duration

	// Overflow says for types what becomes of a message that is pushed when MaxOutbox
	// or MaxOutboxFrames is reached. Types that are not in it wait, and so do questions
	// and answers of all types.
	Overflow map[Type]Overflow

	// AdmitTimeout is how long a new connection may take until Server.Admit has
	// let it in, and a Client's, from when it is dialled until its Hello is
	// answered. Zero means 10 s; negative means no limit.
	AdmitTimeout time.Duration

	// FrameTimeout is how long a frame may take from its first byte to its last.
	// Zero means 10 s; negative means no limit.
	FrameTimeout time.Duration

	// MinRate is how many bytes per second must have arrived of a frame that takes
	// longer than FrameTimeout, on average over the time beyond it: it is for large
	// frames on slow links. Zero means 16 KiB; negative means that no frame may take
	// longer. The idea is that of Apache's mod_reqtimeout.
	MinRate int

	// WriteTimeout is how long the peer may take nothing of what is being
	// written to it, and how long handlers may run on after the peer has ended
	// its stream. Zero means 10 s; negative means no limit.
	WriteTimeout time.Duration

	// PingInterval is how long nothing may have arrived before a ping is sent:
	// by a Client always, by a Server only to a peer that has shown that it
	// knows pings. Such a peer is given up after 2.5 intervals of silence. Zero
	// means 30 s; negative means off.
	PingInterval time.Duration

	// Limits bounds what connections may use together, and how fast one may be.
	Limits Limits

	// Logger receives a line when a connection begins and ends (level info,
	// or warn when the peer broke the protocol; of those, ten a second for each
	// Reason), and errors and panics of handlers. It is called on goroutines that
	// serve many connections: it must neither wait for the Server nor be slow. Nil
	// means silent. What a peer sent is part of a line only where Admit made it a name
	// or an error, and when it refused a Client's hello, quoted.
	Logger *slog.Logger

	// Portable makes a Server use the driver that it has for every net.Conn also
	// for plain TCP on Linux, which has one that costs less.
	Portable bool

	// PoisonData overwrites the data of every message when its handler has
	// returned, so that a handler which keeps it without Clone shows in tests.
	PoisonData bool
}

// settings is a Config with every default filled in and its parts built.
type settings struct {
	Config
	codec    *frame.Codec
	stranger *frame.Config // how the bytes of a peer that is not admitted are cut
	admitted *frame.Config
	overhead int  // bytes of a frame that are not data
	maxType  Type // that the format's type field can say
	control  bool // and it has room for the reserved types
	rated    bool // there is a limit to frames or bytes per second
}

// build fills in the defaults. An error names the field at fault.
func (c *Config) build() (*settings, error) {
	s := &settings{}
	if c != nil {
		s.Config = *c
	}
	var err error
	if s.codec, err = frame.NewCodec(s.Format); err != nil {
		return nil, fmt.Errorf("longwire: Config.Format: %w", err)
	}
	if s.Resync > 0 && !s.codec.CanResync() {
		return nil, errors.New("longwire: Config.Resync: needs a Format with a head, and a tail or a checksum, to find a frame by")
	}
	if s.MaxFrame == 0 {
		s.MaxFrame = frame.DefaultMaxFrame
	}
	if s.MaxFrame < 0 || s.MaxFrame > s.codec.MaxSize() {
		s.MaxFrame = s.codec.MaxSize()
	}
	if s.MaxFrame < s.codec.Overhead() {
		return nil, fmt.Errorf("longwire: Config.MaxFrame: is %d; the smallest frame of the format has %d bytes", s.MaxFrame, s.codec.Overhead())
	}
	orDefault(&s.MaxInbox, defaultQueue)
	orDefault(&s.MaxOutbox, defaultQueue)
	orDefault(&s.AdmitTimeout, defaultAdmitTimeout)
	orDefault(&s.FrameTimeout, defaultFrameTimeout)
	orDefault(&s.WriteTimeout, defaultWriteTimeout)
	orDefault(&s.PingInterval, defaultPingInterval)
	orDefault(&s.MaxOutboxFrames, 64<<10)
	orDefault(&s.SoftOutboxTime, defaultSoftTime)
	orDefault(&s.MinRate, defaultMinRate)
	if s.MaxOutbox < 0 {
		s.MaxOutbox = math.MaxInt - overdraft
	}
	if s.MaxOutboxFrames < 0 {
		s.MaxOutboxFrames = math.MaxInt
	}
	s.Overflow = maps.Clone(s.Overflow)
	for t, how := range s.Overflow {
		if how > OverflowLatest {
			return nil, fmt.Errorf("longwire: Config.Overflow: type %v: there is no Overflow %d", t, how)
		}
	}
	s.Limits.build()
	s.rated = s.Limits.FrameRate != math.MaxInt || s.Limits.ByteRate != math.MaxInt
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	s.stranger = &frame.Config{Codec: s.codec, MaxFrame: min(s.MaxFrame, max(unadmittedMaxFrame, s.codec.Overhead()))}
	s.admitted = &frame.Config{Codec: s.codec, MaxFrame: s.MaxFrame, Resync: s.Resync}
	s.overhead, s.maxType = s.codec.Overhead(), s.codec.MaxType()
	s.control = s.maxType >= lastReserved
	return s, nil
}

// orDefault replaces zero by the default; negative values stay and mean off.
func orDefault[T int | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}
