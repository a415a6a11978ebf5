package httpapi

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	maxGuesses = 10          // different wrong tokens of a source
	guessTime  = time.Minute // within this time, and for how long it is locked out then
	maxSources = 1024        // that are remembered
)

// guesses remembers who tries tokens. A program that has a token which is not valid any more
// sends the same one again and again; who guesses sends others. Loopback addresses
// are never locked out: what runs on this machine shares them, and so does a proxy.
type guesses struct {
	mu       sync.Mutex
	bySource map[netip.Prefix]*guesser
}

type guesser struct {
	until  time.Time
	hashes [][sha256.Size]byte
}

// source returns what stands for an address: of IPv6 a /64, which is what one
// customer has.
func source(remoteAddr string) netip.Prefix {
	ap, err := netip.ParseAddrPort(remoteAddr)
	if err != nil {
		return netip.Prefix{}
	}
	addr, bits := ap.Addr().Unmap().WithZone(""), 32
	if addr.Is6() {
		bits = 64
	}
	p, _ := addr.Prefix(bits)
	if addr.IsLoopback() {
		return netip.Prefix{}
	}
	return p
}

// locked reports whether a source is locked out.
func (g *guesses) locked(from netip.Prefix, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	who := g.bySource[from]
	return who != nil && len(who.hashes) >= maxGuesses && now.Before(who.until)
}

// wrong remembers a wrong token.
func (g *guesses) wrong(from netip.Prefix, hash [sha256.Size]byte, now time.Time) {
	if !from.IsValid() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	who := g.bySource[from]
	if who == nil || !now.Before(who.until) {
		if !g.roomLocked(now) {
			return
		}
		who = &guesser{until: now.Add(guessTime)}
		g.bySource[from] = who
	}
	if !slices.Contains(who.hashes, hash) && len(who.hashes) < maxGuesses {
		who.hashes = append(who.hashes, hash)
		who.until = now.Add(guessTime)
	}
}

// roomLocked reports whether another source can be remembered.
func (g *guesses) roomLocked(now time.Time) bool {
	if g.bySource == nil {
		g.bySource = make(map[netip.Prefix]*guesser)
	}
	if len(g.bySource) >= maxSources {
		for from, who := range g.bySource {
			if !now.Before(who.until) {
				delete(g.bySource, from)
			}
		}
	}
	return len(g.bySource) < maxSources
}
