package main

import (
	"maps"
	"math"
	"slices"
	"time"

	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/gateway"
)

// gatewayConfig makes a configuration into the gateway's.
func (p *serving) gatewayConfig(c *config.Config) *gateway.Config {
	g := &gateway.Config{
		Ack:          gateway.Ack(c.Ack),
		Forward:      *gatewayForward(c, c.Forward.URL),
		Groups:       c.Devices.Groups,
		Attributes:   c.Devices.Attributes,
		MaxDevices:   int(c.Devices.Max),
		KnownFor:     time.Duration(c.Devices.KnownFor),
		Frames:       int(c.Devices.Frames),
		FrameData:    c.Devices.FrameData,
		Heartbeat:    time.Duration(c.Heartbeat),
		DrainTimeout: time.Duration(c.DrainTimeout),
		Store:        p.store,
		Commands:     gatewayCommands(&c.Commands),
		Deliver:      gatewayDelivery(&c.Events.Deliver),
	}
	if g.KnownFor == 0 { // off
		g.KnownFor = math.MaxInt64
	}
	for _, name := range slices.Sorted(maps.Keys(c.Types)) {
		t := c.Types[name]
		g.Types = append(g.Types, gateway.Type{Name: name, Type: t.Type, Ack: gateway.Ack(t.Ack), Forward: gatewayForward(c, t.Forward), Store: t.Store})
	}
	for i := range c.Listeners {
		l := &c.Listeners[i]
		lib, secure := c.Library(l)
		g.Listeners = append(g.Listeners, gateway.Listener{
			Name:           l.Name,
			Socket:         p.boards[l.Name],
			Library:        *lib,
			TLS:            secure,
			AllowAnonymous: l.AllowAnonymous,
			Login:          gatewayLogin(&l.Login),
			Policy:         gateway.Policy(l.Policy),
		})
	}
	return g
}

func gatewayForward(c *config.Config, url config.URL) *gateway.Forward {
	return &gateway.Forward{
		Service:  gateway.Service{URL: string(url), Token: c.Forward.Token(), Timeout: time.Duration(c.Forward.Timeout)},
		InFlight: int(c.Forward.InFlight),
	}
}

func gatewayLogin(l *config.Login) gateway.Login {
	login := gateway.Login{
		Tokens:      l.Hashes(),
		Service:     gateway.Service{URL: string(l.TokenURL), Timeout: time.Duration(l.TokenTimeout)},
		NoHello:     !l.Hello && (len(l.Hashes()) > 0 || l.TokenURL != "" || l.Fleet != nil),
		Certificate: l.Certificate,
	}
	if l.Fleet != nil {
		id, _ := gateway.ParsePointer(string(l.Fleet.ID)) // they have been checked
		token, _ := gateway.ParsePointer(string(l.Fleet.Token))
		login.Fleet = &gateway.Fleet{Type: l.Fleet.Type, ID: id, Token: token}
	}
	return login
}

func gatewayCommands(c *config.Commands) gateway.Commands {
	return gateway.Commands{
		Max:      int(c.Max),
		MaxBytes: int64(c.MaxBytes),
		TTL:      time.Duration(c.TTL),
		Timeout:  time.Duration(c.Timeout),
		Attempts: int(c.Attempts),
		Keep:     time.Duration(c.Keep),
		Window:   int(c.Window),
		InFlight: int(c.InFlight),
		Rate:     int(c.Rate),
		Unknown:  c.Unknown,
	}
}

func gatewayDelivery(d *config.Deliver) gateway.Delivery {
	return gateway.Delivery{
		Service:  gateway.Service{URL: string(d.URL), Token: d.Token(), Timeout: time.Duration(d.Timeout)},
		InFlight: int(d.InFlight),
	}
}
