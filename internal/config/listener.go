package config

import (
	"crypto/sha256"
	"time"

	"github.com/longwire/longwire"
)

// A Listener is an address that boards connect to, and how they are treated there.
type Listener struct {
	Name            string   `yaml:"name" change:"restart" default:"boards, for the first" doc:"What it is called in the API and in logs: a-z, 0-9, - and _, at most 32."`
	Address         Address  `yaml:"address" change:"restart" default:"127.0.0.1:10302, for the first" doc:"Address to listen on; port 0 takes a free one. Addresses that others can reach need a login or allow_anonymous."`
	AllowAnonymous  bool     `yaml:"allow_anonymous" doc:"Let anybody connect who reaches the address. Those who say who they are must still prove it."`
	Policy          Policy   `yaml:"policy" doc:"What happens when a device connects that is connected already: takeover (the new connection replaces the old one), reject (the new one is refused) or single (a new connection replaces whichever there is)."`
	Frame           Frame    `yaml:"frame" change:"restart" doc:"How a frame looks. The default is | c8 | length | type | data | c9 |."`
	MaxFrame        Size     `yaml:"max_frame" or:"off" change:"restart" doc:"Largest frame to accept and to send, head to tail; off for what the frame's length can say. Until a board is let in it may send 4KiB."`
	Resync          Size     `yaml:"resync" or:"off" change:"restart" doc:"Bytes of a connection that may be skipped in search of the next frame, before it is closed; off closes it at once."`
	TLS             *TLS     `yaml:"tls" change:"restart" doc:"Speak TLS. The files are read again at a reload."`
	Login           Login    `yaml:"login" doc:"Who may connect, and under which id. A change is for those who connect later."`
	Limits          Limits   `yaml:"limits" change:"restart" doc:"What its connections may use together, and how fast one may be."`
	Times           Times    `yaml:"times" change:"restart" doc:"How long a connection may take for what. They are looked at once a second."`
	MaxInbox        Size     `yaml:"max_inbox" or:"off" change:"restart" doc:"Bytes of messages of one connection that may wait to be handled; reading pauses when there are more. Off for no limit."`
	MaxOutbox       Size     `yaml:"max_outbox" or:"off" change:"restart" doc:"Bytes that may wait to be sent on one connection; when there are as many, overflow of the type says what happens. Off for no limit."`
	MaxOutboxFrames Count    `yaml:"max_outbox_frames" or:"off" change:"restart" doc:"Frames that may wait to be sent on one connection, in the same way; off for no limit."`
	SoftOutbox      Size     `yaml:"soft_outbox" or:"off" change:"restart" doc:"Bytes that may wait to be sent on one connection for longer than soft_outbox_time; then it ends. Off for no such limit."`
	SoftOutboxTime  Duration `yaml:"soft_outbox_time" change:"restart" doc:"That time."`
	MinRate         Size     `yaml:"min_rate" or:"off" change:"restart" doc:"Bytes per second that must arrive of a frame for it to take longer than times.frame; off lets none take longer."`
}

// TLS is what a listener needs for TLS.
type TLS struct {
	CertFile     string `yaml:"cert_file" example:"server.crt" doc:"File with the certificate, and what its chain needs, in PEM. Must be given."`
	KeyFile      string `yaml:"key_file" example:"server.key" doc:"File with its key, in PEM. Must be given."`
	ClientCAFile string `yaml:"client_ca_file" example:"boards-ca.crt" doc:"File with the authorities, in PEM, whose certificates boards must have. Without it boards need none."`
}

// Login says who may connect and under which id: by any of the ways that it names.
// Without any of them, who connects is anonymous.
type Login struct {
	Hello        bool            `yaml:"hello" default:"true when there are tokens, and types of 2 bytes" doc:"By longwire's own hello frame, with an id and its token."`
	Certificate  bool            `yaml:"certificate" default:"true with client_ca_file and nothing else here" doc:"By a certificate, which goes before all else here: the first DNS name that it is for is the id, or the first URI where there is none. Needs tls.client_ca_file."`
	Fleet        *Fleet          `yaml:"fleet" doc:"By a message of the fleet's own, which must be the first. Its token is compared as that of a hello."`
	Tokens       map[string]Hash `yaml:"tokens" example:"{meter-7: \"sha256:…\"}" doc:"Hashes of the tokens of devices, by id, as longwire token prints them."`
	TokensFile   string          `yaml:"tokens_file" doc:"File with more of them, one a line: id sha256:HEX. It is read again at a reload."`
	TokenURL     URL             `yaml:"token_url" or:"off" doc:"URL of a program that is asked about ids that are not in tokens or tokens_file; off for none."`
	TokenTimeout Duration        `yaml:"token_timeout" doc:"How long that program may take."`

	file map[string]Hash // what stands in TokensFile
}

// Hashes returns the SHA-256 of all tokens, those in TokensFile included, by id.
func (l *Login) Hashes() map[string][sha256.Size]byte { return hashes(l.Tokens, l.file) }

// Fleet is the login that a fleet has already. Its answer is an envelope.
type Fleet struct {
	Type  longwire.Type `yaml:"type" example:"0x01" doc:"Number of the type of the message, as in 1 or 0x01. Must be given."`
	ID    Pointer       `yaml:"id" example:"/id" doc:"Where in the message's JSON the id stands, as in /device/id (RFC 6901). Must be given."`
	Token Pointer       `yaml:"token" example:"/token" doc:"Where the token stands. Must be given."`
}

// Limits bounds what the connections of a listener may use together; see
// [longwire.Limits].
type Limits struct {
	Connections           Count `yaml:"connections" or:"auto off" doc:"Connections; auto for as many as the process may open files, less some; off for no limit."`
	ConnectionsPerAddress Count `yaml:"connections_per_address" or:"off" doc:"Connections from one IP address, or one /64 network of IPv6; off for no limit."`
	Strangers             Count `yaml:"strangers" or:"off" doc:"Connections that have not been let in yet; others wait until there are fewer. Off for no limit."`
	Handshakes            Count `yaml:"handshakes" doc:"TLS handshakes that are worked on at a time; others wait."`
	AcceptRate            Count `yaml:"accept_rate" or:"off" doc:"Connections accepted per second; others wait. Off for no limit."`
	FrameRate             Count `yaml:"frame_rate" or:"off" doc:"Frames per second taken from one connection; others wait. Off for no limit."`
	ByteRate              Size  `yaml:"byte_rate" or:"off" doc:"Bytes per second taken from one connection; others wait. Off for no limit."`
	Questions             Count `yaml:"questions" or:"off" doc:"Questions to one board that may wait for their answers; off for no limit."`
	Handlers              Count `yaml:"handlers" or:"off" doc:"Messages that are handled at a time; others wait. Off for no limit."`
	Waiting               Size  `yaml:"waiting" or:"auto off" doc:"Bytes of messages that may wait to be handled; reading pauses when there are more. Auto for 256MiB, or a quarter of GOMEMLIMIT if that is less; off for no limit."`
	Unfinished            Size  `yaml:"unfinished" or:"auto off" doc:"Bytes of frames that have begun to arrive; the connections with the most end when there are more. As much again may be read ahead of boards over their rate, who do not end. Auto for 64MiB, or an eighth of GOMEMLIMIT if that is less; off for no limit."`
	Unsent                Size  `yaml:"unsent" or:"auto off" doc:"Bytes that may wait to be sent to boards that have stopped reading; the connections with the most end when there are more. Auto for 256MiB, or a quarter of GOMEMLIMIT if that is less; off for no limit."`
}

// Times says how long a connection may take for what.
type Times struct {
	Admit Duration `yaml:"admit" or:"off" doc:"From the connection to being let in; off for no limit."`
	Frame Duration `yaml:"frame" or:"off" doc:"From the first byte of a frame to its last; off for no limit."`
	Write Duration `yaml:"write" or:"off" doc:"How long a board may take nothing of what is written to it; off for no limit."`
	Ping  Duration `yaml:"ping" or:"off" doc:"How long nothing may have arrived before a ping is sent to a board that knows pings, which is given up after 2.5 times as long; off for no pings."`
}

// Library returns what a [longwire.Server] needs for a listener of this configuration.
// The logger is not in it. Tls is nil without TLS.
func (c *Config) Library(l *Listener) (conf *longwire.Config, tls *longwire.TLS) {
	overflow := make(map[longwire.Type]longwire.Overflow)
	for _, t := range c.Types {
		if t.Overflow != Wait {
			overflow[t.Type] = longwire.Overflow(index(t.Overflow))
		}
	}
	if l.TLS != nil {
		tls = &longwire.TLS{CertFile: l.TLS.CertFile, KeyFile: l.TLS.KeyFile, CAFile: l.TLS.ClientCAFile}
	}
	return &longwire.Config{
		Format:          l.Frame.Format(),
		MaxFrame:        int(zeroIsDefault(l.MaxFrame)),
		Resync:          int(l.Resync),
		MaxInbox:        int(zeroIsDefault(l.MaxInbox)),
		MaxOutbox:       int(zeroIsDefault(l.MaxOutbox)),
		MaxOutboxFrames: int(zeroIsDefault(l.MaxOutboxFrames)),
		SoftOutbox:      int(l.SoftOutbox),
		SoftOutboxTime:  time.Duration(l.SoftOutboxTime),
		Overflow:        overflow,
		MinRate:         int(zeroIsDefault(l.MinRate)),
		AdmitTimeout:    time.Duration(zeroIsDefault(l.Times.Admit)),
		FrameTimeout:    time.Duration(zeroIsDefault(l.Times.Frame)),
		WriteTimeout:    time.Duration(zeroIsDefault(l.Times.Write)),
		PingInterval:    time.Duration(zeroIsDefault(l.Times.Ping)),
		Limits: longwire.Limits{
			Conns:        int(zeroIsDefault(l.Limits.Connections)),
			ConnsPerAddr: int(zeroIsDefault(l.Limits.ConnectionsPerAddress)),
			Strangers:    int(zeroIsDefault(l.Limits.Strangers)),
			Handshakes:   int(zeroIsDefault(l.Limits.Handshakes)),
			AcceptRate:   int(zeroIsDefault(l.Limits.AcceptRate)),
			FrameRate:    int(zeroIsDefault(l.Limits.FrameRate)),
			ByteRate:     int(zeroIsDefault(l.Limits.ByteRate)),
			Questions:    int(zeroIsDefault(l.Limits.Questions)),
			Handlers:     int(zeroIsDefault(l.Limits.Handlers)),
			Waiting:      int(zeroIsDefault(l.Limits.Waiting)),
			Unfinished:   int(zeroIsDefault(l.Limits.Unfinished)),
			Unsent:       int(zeroIsDefault(l.Limits.Unsent)),
		},
	}, tls
}

// zeroIsDefault makes a setting into a field of the library, where zero is the default
// and negative means off.
func zeroIsDefault[T Size | Count | Duration](v T) T {
	switch v {
	case 0:
		return -1
	case Auto:
		return 0
	}
	return v
}
