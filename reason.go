package longwire

import (
	"fmt"

	"github.com/longwire/longwire/frame"
)

// A Reason says why a connection is over. Every connection has exactly one, the
// same in the error ([CloseError]), in the log line and in the counters.
type Reason uint8

const (
	// ReasonClosed: this side closed it, with Close.
	ReasonClosed Reason = iota + 1
	// ReasonPeerClosed: the peer ended its stream between two frames.
	ReasonPeerClosed
	// ReasonLost: reading or writing failed, as after a reset.
	ReasonLost
	// ReasonTruncated: the stream ended inside a frame.
	ReasonTruncated
	// ReasonBadFrame: bytes arrived that are no frame.
	ReasonBadFrame
	// ReasonFrameTooLarge: the peer declared a frame over the limit.
	ReasonFrameTooLarge
	// ReasonTLS: the TLS handshake failed.
	ReasonTLS
	// ReasonNotAdmitted: Server.Admit, or the server of a Client, said no.
	ReasonNotAdmitted
	// ReasonAdmitTimeout: the peer was not admitted in time.
	ReasonAdmitTimeout
	// ReasonFrameTimeout: a frame was begun and not completed in time.
	ReasonFrameTimeout
	// ReasonWriteTimeout: the peer did not take what was written in time.
	ReasonWriteTimeout
	// ReasonSilent: a peer that answers pings was silent for 2.5 intervals.
	ReasonSilent
	// ReasonTooMany: there were as many connections as there may be, in all, from one
	// address, or waiting to be admitted.
	ReasonTooMany
	// ReasonOverflow: the peer read too slowly, and too much waited for it.
	ReasonOverflow
	// ReasonOverload: all connections together used too much memory, and this one the
	// most.
	ReasonOverload
	// ReasonShutdown: the server is shutting down.
	ReasonShutdown
	// ReasonGoaway: the peer asked this side to come back later.
	ReasonGoaway
	// ReasonReplaced: a newer connection of the same peer took over. The library
	// does not give this reason itself; it is there for those who keep track of
	// identities.
	ReasonReplaced
	// ReasonKicked: an operator ended it. The library does not give this reason
	// itself.
	ReasonKicked

	numReasons = iota + 1
)

var reasonWords = [numReasons]string{
	ReasonClosed:        "closed",
	ReasonPeerClosed:    "peer_closed",
	ReasonLost:          "lost",
	ReasonTruncated:     "truncated",
	ReasonBadFrame:      "bad_frame",
	ReasonFrameTooLarge: "frame_too_large",
	ReasonTLS:           "tls",
	ReasonNotAdmitted:   "not_admitted",
	ReasonAdmitTimeout:  "admit_timeout",
	ReasonFrameTimeout:  "frame_timeout",
	ReasonWriteTimeout:  "write_timeout",
	ReasonSilent:        "silent",
	ReasonTooMany:       "too_many",
	ReasonOverflow:      "overflow",
	ReasonOverload:      "overload",
	ReasonShutdown:      "shutdown",
	ReasonGoaway:        "goaway",
	ReasonReplaced:      "replaced",
	ReasonKicked:        "kicked",
}

// String returns the reason as one word, as in "peer_closed".
func (r Reason) String() string {
	if int(r) < len(reasonWords) && r != 0 {
		return reasonWords[r]
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// MarshalText returns the same word, for logs and JSON.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// peersFault reports whether the peer broke the protocol, which is worth a
// warning.
func (r Reason) peersFault() bool {
	switch r {
	case ReasonTruncated, ReasonBadFrame, ReasonFrameTooLarge, ReasonTLS, ReasonNotAdmitted,
		ReasonAdmitTimeout, ReasonFrameTimeout, ReasonWriteTimeout, ReasonSilent, ReasonTooMany, ReasonOverflow, ReasonOverload:
		return true
	}
	return false
}

// reasonOfFrame returns the reason for closing that fits what is wrong with the
// bytes.
func reasonOfFrame(r frame.Reason) Reason {
	switch r {
	case frame.TooLarge:
		return ReasonFrameTooLarge
	case frame.Truncated:
		return ReasonTruncated
	}
	return ReasonBadFrame
}
