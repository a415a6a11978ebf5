// Package config is the configuration of the gateway: one YAML file, with the
// environment over it and flags over that. What is unknown, contradictory or unsafe is
// refused, each with its line, and everything that is wrong at once.
//
// It is the one package that imports a YAML library.
package config

import (
	"crypto/sha256"

	"github.com/longwire/longwire"
)

// A Config is everything that can be set. The tags of its fields, and of theirs, are
// what there is to say about a setting, and the one place where it is said:
//
//   - yaml is its name in the file.
//   - or names the words that it takes beside its values: off, which is the zero
//     value, and auto, which is -1.
//   - change is restart when a change needs one, of a section when any change in it
//     does. All else can change while connections are up.
//   - short names the setting of a section that a lone value stands for.
//   - default says what the default is where it depends on other settings.
//   - example is a value for it, where the default is none.
//   - doc is its documentation.
//
// A Config comes from [Default], [Parse] or [Load] and is not changed after that.
type Config struct {
	Listeners    []Listener      `yaml:"listeners" doc:"Where boards connect, each with its own frame, TLS, login and limits. Adding and removing one needs a restart."`
	HTTP         HTTP            `yaml:"http" doc:"The HTTP API, with metrics and health."`
	Ack          Ack             `yaml:"ack" doc:"Which messages of boards are answered: always (each), asked (those with a call_back_key) or never. For types that do not say."`
	Forward      Forward         `yaml:"forward" doc:"Another program that messages of boards go to over HTTP. Its response becomes the answer."`
	Types        map[string]Type `yaml:"types" short:"type" example:"reading" doc:"Types of messages by name: a number, or settings. Names begin with a letter and have letters, digits, - and _, at most 64."`
	Devices      Devices         `yaml:"devices" doc:"What is known about devices, and how much of it."`
	Data         Directory       `yaml:"data" or:"off" change:"restart" doc:"Directory of what is kept: commands, events, and what is known of devices. It is made if there is none, and no two gateways can have the same. Off keeps nothing beyond the end of the process."`
	Store        Store           `yaml:"store" doc:"How it is kept there, or by a server elsewhere."`
	Commands     Commands        `yaml:"commands" doc:"Commands, which wait for boards that are away."`
	Events       Events          `yaml:"events" doc:"Events that are kept: connections, the states of commands, and messages of types with store."`
	Log          Log             `yaml:"log" doc:"The log."`
	Heartbeat    Duration        `yaml:"heartbeat" or:"off" doc:"How often to log that all is well, with counts; off for never."`
	DrainTimeout Duration        `yaml:"drain_timeout" or:"off" doc:"How long what is in progress may take after a signal; off ends it at once."`

	name     string            // of the file
	origins  map[string]origin // of settings, by path
	contents map[string]digest // of files that settings name, by their name
	warnings []*Problem
}

// HTTP is the HTTP side.
type HTTP struct {
	Address      Address         `yaml:"address" or:"off" change:"restart" doc:"Address to listen on; off for no HTTP. Addresses that others can reach need a token."`
	Tokens       map[string]Hash `yaml:"tokens" example:"{dashboard: \"sha256:…\"}" doc:"Hashes of the bearer tokens that let programs in, by the name of who has it, as longwire token prints them. Without any, everybody on this machine may."`
	TokensFile   string          `yaml:"tokens_file" doc:"File with more of them, one a line: name sha256:HEX. It is read again at a reload."`
	Dashboard    bool            `yaml:"dashboard" change:"restart" doc:"Serve the page that shows the fleet, at /. It needs a token as the API does."`
	TLS          *Certificate    `yaml:"tls" change:"restart" doc:"Speak HTTPS. The files are read again at a reload."`
	MaxBody      Size            `yaml:"max_body" change:"restart" doc:"Largest body of a request."`
	Timeout      Duration        `yaml:"timeout" change:"restart" doc:"The longest that a request may ask to wait for a board."`
	AllowedHosts []string        `yaml:"allowed_hosts" change:"restart" doc:"Names that a request may be for, besides localhost and loopback addresses, without a port. Others are refused: they may come from a page in somebody's browser."`

	file map[string]Hash // what stands in TokensFile
}

// Hashes returns the SHA-256 of all tokens, those in TokensFile included, by name.
func (h *HTTP) Hashes() map[string][sha256.Size]byte { return hashes(h.Tokens, h.file) }

func hashes(lists ...map[string]Hash) map[string][sha256.Size]byte {
	all := make(map[string][sha256.Size]byte)
	for _, list := range lists {
		for name, hash := range list {
			all[name] = hash
		}
	}
	return all
}

// A Certificate is a certificate and its key.
type Certificate struct {
	CertFile string `yaml:"cert_file" example:"server.crt" doc:"File with the certificate, and what its chain needs, in PEM. Must be given."`
	KeyFile  string `yaml:"key_file" example:"server.key" doc:"File with its key, in PEM. Must be given."`
}

// A Type is what a type of messages is called and what becomes of its messages.
type Type struct {
	Type     longwire.Type `yaml:"type" example:"0x10" doc:"Number of the type, as in 16 or 0x10. Must be given. 0xff00 to 0xffff are longwire's own."`
	Ack      Ack           `yaml:"ack" example:"always" default:"what ack says for all types" doc:"Which of its messages are answered: always, asked or never."`
	Forward  URL           `yaml:"forward" or:"off" default:"what forward.url says" doc:"URL that its messages are posted to; off for none."`
	Store    bool          `yaml:"store" doc:"Keep its messages, and answer them only when they are on disk; with status 503 where they cannot be."`
	Overflow Overflow      `yaml:"overflow" change:"restart" doc:"What becomes of such a message to a board that has no room for it, see max_outbox: wait (until there is), close (the connection ends), drop_newest (it is dropped), drop_oldest (those of its type that wait are) or latest (it takes the place of the one that waits, always)."`
}

// Forward is the program that messages go to.
type Forward struct {
	URL       URL      `yaml:"url" or:"off" doc:"URL that messages are posted to, for types that do not say; off for none."`
	Timeout   Duration `yaml:"timeout" doc:"How long it may take to respond. When it has not, or cannot be reached, the board gets status 503."`
	InFlight  Count    `yaml:"in_flight" doc:"How many messages may be on their way to it at a time. Others wait, and when there are many get status 503."`
	TokenFile string   `yaml:"token_file" doc:"File with a bearer token to send to it, and to the URLs of types. It is read again at a reload."`

	token string // what stands in TokenFile
}

// Token returns the bearer token in TokenFile, "" when there is none.
func (f *Forward) Token() string { return f.token }

// Devices bounds what is known about devices, and says what is known beforehand.
type Devices struct {
	Max        Count                        `yaml:"max" doc:"How many devices are known at most. When there are more, those that have been away the longest are forgotten."`
	KnownFor   Duration                     `yaml:"known_for" or:"off" doc:"How long a device that is away is known; off for as long as there is room."`
	Groups     map[string][]string          `yaml:"groups" example:"{line-1: [meter-7, meter-8]}" doc:"Ids of the devices in a group, by the name of the group."`
	Attributes map[string]map[string]string `yaml:"attributes" example:"{meter-7: {place: hall 2}}" doc:"What is to be said about a device: by its id, names and values. A device's own words in its hello do not replace them."`
	Frames     Count                        `yaml:"frames" or:"off" doc:"How many of the last frames of each device are kept in memory to look at; off for none."`
	FrameData  bool                         `yaml:"frame_data" doc:"Keep the data of these frames too, up to 1KiB of each, and not only type, size and time."`
}

// Log says which lines are written, how they look and where they go.
type Log struct {
	File     string    `yaml:"file" change:"restart" doc:"File to log to; empty for stderr."`
	Format   LogFormat `yaml:"format" change:"restart" doc:"How a line looks: text or json."`
	Level    LogLevel  `yaml:"level" doc:"The least that is logged: debug, info, warn or error."`
	MaxSize  Size      `yaml:"max_size" change:"restart" doc:"Size at which a new file is begun, in whole MiB."`
	MaxAge   Duration  `yaml:"max_age" or:"off" change:"restart" doc:"Age at which old files are deleted, in whole days; off for never."`
	MaxFiles Count     `yaml:"max_files" or:"off" change:"restart" doc:"How many old files are kept; off for all."`
}
