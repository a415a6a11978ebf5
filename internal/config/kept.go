package config

import (
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Store says where what is kept goes, and what it must leave room for.
type Store struct {
	URL             Servers `yaml:"url" or:"off" change:"restart" doc:"URL of a NATS server with JetStream that keeps it in place of data, as in nats://127.0.0.1:4222, or several with commas between; off for none. That server's sync_interval says how safe it is there. Each gateway needs a server, or an account on it, of its own: two that share one would send each other's commands."`
	CredentialsFile string  `yaml:"credentials_file" change:"restart" doc:"File with the credentials for that server, if it wants any."`
	Replicas        Count   `yaml:"replicas" change:"restart" doc:"How many of its servers keep each record, at most 5."`
	Reserve         Size    `yaml:"reserve" or:"off" change:"restart" doc:"Bytes of the file system of data that are left free: with less, nothing more is kept until there is room. Off for none."`
}

// Commands bounds the commands that wait for boards, and says how they are sent.
type Commands struct {
	Max      Count    `yaml:"max" change:"restart" doc:"How many commands may wait for one board; more are refused."`
	MaxBytes Size     `yaml:"max_bytes" change:"restart" doc:"Bytes of commands that may wait for one board; more are refused."`
	MaxSize  Size     `yaml:"max_size" change:"restart" doc:"Bytes of all commands on disk, with those that have ended: when there is no room these go first, and then more commands are refused."`
	TTL      Duration `yaml:"ttl" change:"restart" doc:"How long a command waits for its board before it expires, when the request does not say."`
	Timeout  Duration `yaml:"timeout" change:"restart" doc:"How long a board may take to answer a command before it is sent again, when the request does not say."`
	Attempts Count    `yaml:"attempts" change:"restart" doc:"How often a command is sent before it is given up, when the request does not say."`
	Window   Count    `yaml:"window" change:"restart" doc:"How many commands one board may have unanswered. With more than 1 a later one may be carried out before an earlier one that has to be sent again."`
	InFlight Count    `yaml:"in_flight" change:"restart" doc:"How many commands all boards together may have unanswered; others wait."`
	Rate     Count    `yaml:"rate" change:"restart" doc:"Commands sent per second, to all boards together; others wait."`
	Keep     Duration `yaml:"keep" change:"restart" doc:"How long commands that have ended can still be looked at."`
	Unknown  bool     `yaml:"unknown" doc:"Let commands wait for devices that have never been connected."`
}

// Events says how long what happens is kept, and who is told of it.
type Events struct {
	MaxSize Size     `yaml:"max_size" change:"restart" doc:"Bytes of events on disk; when there are more, the oldest go."`
	MaxAge  Duration `yaml:"max_age" change:"restart" doc:"How long events are kept."`
	Deliver Deliver  `yaml:"deliver" doc:"Another program that every event that is kept is posted to, those of a device in their order, again and again until it responds with a status from 200 to 299. With 400, 410, 413 or 422 it says that it never wants that one."`
}

// Deliver is the program that events are delivered to.
type Deliver struct {
	URL       URL      `yaml:"url" or:"off" change:"restart" doc:"URL that events are posted to; off for none."`
	Timeout   Duration `yaml:"timeout" change:"restart" doc:"How long it may take to respond. When it has not, the event is posted again later."`
	InFlight  Count    `yaml:"in_flight" change:"restart" doc:"How many events may be on their way to it at a time, of as many devices."`
	TokenFile string   `yaml:"token_file" change:"restart" doc:"File with a bearer token to send to it."`

	token string // what stands in TokenFile
}

// Token returns the bearer token in TokenFile, "" when there is none.
func (d *Deliver) Token() string { return d.token }

// Keeps reports whether anything is kept beyond the end of the process.
func (c *Config) Keeps() bool { return c.Data != "" || c.Store.URL != "" }

// A Directory is one that the program makes if there is none. Empty means none.
type Directory string

// Set takes any text but an empty one: a variable that somebody forgot to set is no off.
func (d *Directory) Set(text string) error {
	if text == "" {
		return errors.New("is empty; name a directory, or write off")
	}
	*d = Directory(text)
	return nil
}

// Servers are URLs of NATS servers, with commas between. Empty means none.
type Servers string

// Set checks that text is a list of URLs. Errors do not repeat it: there may be a secret in it.
func (s *Servers) Set(text string) error {
	for one := range strings.SplitSeq(text, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Scheme != "nats" && u.Scheme != "tls" || u.Hostname() == "" {
			return errors.New("is no URL of a NATS server; write it as in nats://127.0.0.1:4222, or tls:// for TLS")
		}
	}
	*s = Servers(text)
	return nil
}

// String returns the URLs with users and passwords hidden.
func (s Servers) String() string {
	all := strings.Split(string(s), ",")
	for i := range all {
		all[i] = URL(strings.TrimSpace(all[i])).String()
	}
	return strings.Join(all, ",")
}

// checkKept looks for what is to be kept where nothing is, and for what contradicts itself.
func (c *checker) checkKept() {
	remote := c.Store.URL != ""
	switch {
	case remote && c.Data != "" && c.given("data"):
		c.problemf("data", "names a directory, and store.url a server that keeps all in place of it; leave one of them out")
	case remote && c.Store.Reserve != 0 && c.given("store.reserve"):
		c.problemf("store.reserve", "is about the directory in data, and store.url names a server in place of it; leave it out")
	}
	if !remote && c.Store.CredentialsFile != "" {
		c.problemf("store.credentials_file", "is for the server of store.url, and that is off; set it, or leave this out")
	}
	switch {
	case !remote && c.Store.Replicas > 1:
		c.problemf("store.replicas", "is %v, and there is one directory; set store.url to a cluster of servers, or leave this out", c.Store.Replicas)
	case c.Store.Replicas > mostReplicas:
		c.problemf("store.replicas", "is %v; it must be at most %d", c.Store.Replicas, mostReplicas)
	}
	if c.Commands.MaxBytes > c.Commands.MaxSize {
		c.problemf("commands.max_bytes", "%v for one board is more than commands.max_size has for all, which is %v", c.Commands.MaxBytes, c.Commands.MaxSize)
	}
	if c.Commands.Window > c.Commands.InFlight {
		c.problemf("commands.window", "%v for one board is more than commands.in_flight has for all, which is %v", c.Commands.Window, c.Commands.InFlight)
	}
	if c.Keeps() {
		return
	}
	const nothing = ", and data is off, so that nothing is kept; set data to a directory, or leave this out"
	if c.Commands.Unknown {
		c.problemf("commands.unknown", "is true"+nothing)
	}
	if c.Events.Deliver.URL != "" {
		c.problemf("events.deliver.url", "is set"+nothing)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Types)) {
		if c.Types[name].Store {
			c.problemf(join("types", name)+".store", "is true"+nothing)
		}
	}
}

// mostReplicas is how many a NATS server takes.
const mostReplicas = 5
