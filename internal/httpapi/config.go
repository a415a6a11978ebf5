package httpapi

import (
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"net/http"
	"time"
)

// A Config says how a [Server] serves. Zero fields mean the stated defaults.
type Config struct {
	// Tokens has the SHA-256 of each bearer token, any one of which is enough, by the
	// name of who has it. Where there are none, Loopback must be true.
	Tokens map[string][sha256.Size]byte

	// Loopback says that nobody but this machine can reach the listener. Without Tokens
	// programs may then do everything, and web pages of others nothing: a request must
	// name a host of the loopback interface or of AllowedHosts, and so must its Origin.
	Loopback     bool
	AllowedHosts []string // without a port

	// SessionSecret is what the cookies of the page are signed with, at least 32 random bytes.
	// Nil means that sessions end with the process.
	SessionSecret []byte

	// Dashboard answers what is not of the API. It needs no token. Nil means that nothing does.
	Dashboard http.Handler

	// Version is what GET /v1/stats says it is.
	Version string

	// TLS, if not nil, has listeners speak HTTPS.
	TLS *tls.Config

	// MaxBody is how many bytes the body of a request may have. Zero means 1 MiB.
	MaxBody int64

	// MaxWait is how long a request may have a device take. Zero means 1 minute.
	MaxWait time.Duration

	// Reload reads the configuration again, for POST /v1/reload, and logs how that went.
	// Nil means that there is none to read.
	Reload func() (Reloaded, error)

	// Metrics answers GET /metrics. Nil means that nothing does.
	Metrics http.Handler

	// Logger receives a line when somebody has the gateway drain, reload or end a
	// connection, with the name of whose token it was; for wrong tokens, one a second; and
	// for what goes wrong here. Nil means silent.
	Logger *slog.Logger
}

// Reloaded says what has become of the settings that had changed.
type Reloaded struct {
	Applied []string `json:"applied" doc:"settings that are in force now"`
	Restart []string `json:"restart" doc:"settings that will be after a restart"`
}

const (
	maxConns       = 1024             // at a time; others wait in the listener's queue
	maxStreams     = 256              // of them that read events
	maxBodies      = 64 << 20         // bytes of all requests' bodies at a time
	headerTimeout  = 5 * time.Second  // for the header of a request
	bodyTimeout    = 5 * time.Second  // for its body
	refuseTimeout  = time.Second      // for the rest of a body that is refused
	idleTimeout    = time.Minute      // between two requests
	writeTimeout   = 30 * time.Second // for a response to be taken
	maxHeader      = 64 << 10         // bytes
	stopTimeout    = 5 * time.Second  // for what is in progress when the server stops
	defaultTimeout = 10 * time.Second // for an answer
)

func (c *Config) setDefaults() {
	if c.MaxBody == 0 {
		c.MaxBody = 1 << 20
	}
	if c.MaxWait == 0 {
		c.MaxWait = time.Minute
	}
	if c.SessionSecret == nil {
		c.SessionSecret = newSecret()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}
