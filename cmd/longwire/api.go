package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/show"
)

// api is what the commands that ask a running gateway have in common.
type api struct {
	cmd       *cobra.Command
	address   string
	context   string
	tokenFile string
	caFile    string

	device  string // that it is about, "" when it is about none
	command string // of the device, "" when it is about none
}

const defaultAPI = "http://127.0.0.1:10380"

// aboutAPI is a part of the explanation of all these commands.
const aboutAPI = `It asks the gateway at http://127.0.0.1:10380, or another one that --api, LONGWIRE_API
or a context names, see "longwire context".`

func (a *api) addFlags(cmd *cobra.Command) {
	a.cmd = cmd
	f := cmd.Flags()
	f.StringVar(&a.address, "api", "", "`address` of the gateway's API, as in "+defaultAPI)
	f.StringVar(&a.context, "context", "", "`name` of the context that has the address and the token")
	f.StringVar(&a.tokenFile, "token-file", "", "`file` with the token; LONGWIRE_API_TOKEN may have the token itself")
	f.StringVar(&a.caFile, "ca-file", "", "`file` with the authorities, in PEM, that the gateway's certificate may be from")
	fallBack(cmd, "api", "context", "token-file", "ca-file")
	if err := cmd.RegisterFlagCompletionFunc("context", completeContext); err != nil {
		panic(err) // the flag is not defined
	}
}

// ask has f ask the gateway, until a signal comes.
func (a *api) ask(ctx context.Context, f func(context.Context, *client.Client) error) error {
	g, err := a.gateway()
	if err != nil {
		return err
	}
	c, err := g.client()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, _, release := untilSignal(ctx)
	defer release()
	err = f(ctx, c)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil && errors.Is(err, context.Cause(ctx)):
		return fmt.Errorf("ended by %w, before the gateway had responded", err)
	}
	return a.explain(g, err)
}

// checkDevice takes an argument for the id of a device.
func (a *api) checkDevice(id string) error {
	if !config.IsID(id) {
		return usagef("ID %.64q "+config.BadID, id)
	}
	a.device = id
	return nil
}

// print prints what the command was asked for.
func (a *api) print(text []byte) error {
	if _, err := a.cmd.OutOrStdout().Write(text); err != nil {
		return fmt.Errorf("cannot print the result: %w", innermost(err))
	}
	return nil
}

// printJSON prints what a gateway has responded, on one line.
func (a *api) printJSON(body json.RawMessage) error {
	line, err := appendJSONLine(nil, body)
	if err != nil {
		return err
	}
	return a.print(line)
}

// explain makes an error of package client into a sentence.
func (a *api) explain(g *gatewayAt, err error) error {
	if e, ok := errors.AsType[*client.Problem](err); ok {
		return a.refused(g, e)
	}
	if e, ok := errors.AsType[*client.StrangeError](err); ok {
		switch {
		case e.WantsTLS:
			return fmt.Errorf("%s speaks TLS; write https:// in the address", g)
		case e.Location != "":
			return fmt.Errorf("%s sends requests on to %.256q; if that is the gateway, name it with --api", g, e.Location)
		}
		return fmt.Errorf("what responds at %s is no gateway, with status %d; name another address with --api", g, e.Status)
	}
	e, ok := errors.AsType[*client.TransportError](err)
	cert, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case !ok:
		return err
	case errors.Is(err, client.ErrSilent):
		return fmt.Errorf(`the gateway at %s does not respond; is "longwire serve" running there? Name another address with --api`, g)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fmt.Errorf("%s does not speak TLS; write http:// in the address", g)
	case untrusted:
		hint := ""
		if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
			hint = "; --ca-file names a file with the authority that it is from"
		}
		return fmt.Errorf("the certificate of the gateway at %s does not hold: %s%s", g, show.Printable(cert.Err.Error()), hint)
	case e.Dialling:
		return fmt.Errorf(`cannot reach the gateway at %s: %s; is "longwire serve" running there? Name another address with --api`, g, show.Printable(innermost(e).Error()))
	}
	return fmt.Errorf("the connection to the gateway at %s ended before it had responded: %s", g, show.Printable(innermost(e.Err).Error()))
}

// refused tells why the gateway has not done what it was asked for.
func (a *api) refused(g *gatewayAt, p *client.Problem) error {
	detail := asClause(p.Detail)
	switch {
	case p.Status == http.StatusBadRequest:
		return usagef("%s", detail)
	case p.Status == http.StatusUnauthorized && g.token == "":
		return fmt.Errorf("the gateway at %s wants a token; name a file that has it with --token-file, or set LONGWIRE_API_TOKEN", g)
	case p.Status == http.StatusUnauthorized:
		return fmt.Errorf("the gateway at %s: %s; it is from %s", g, detail, g.tokenFrom)
	case a.command != "" && p.Status == http.StatusNotFound:
		return fmt.Errorf(`%s: %s; "longwire commands list %s" tells which there are`, a.device, detail, a.device)
	case a.device != "" && p.Status == http.StatusNotFound:
		return fmt.Errorf(`%s: %s; "longwire devices" tells which are known`, a.device, detail)
	case a.device != "" && (p.Status == http.StatusConflict || p.Status == http.StatusGatewayTimeout || p.Status == http.StatusTooManyRequests):
		return fmt.Errorf("%s: %s", a.device, detail)
	}
	return fmt.Errorf("the gateway at %s: %s", g, cmp.Or(detail, fmt.Sprintf("status %d", p.Status)))
}

// asClause makes what a gateway says in sentences of its own a part of one of ours.
func asClause(detail string) string {
	detail = strings.Join(strings.FieldsFunc(strings.TrimSpace(detail), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	detail = strings.TrimSuffix(detail, ".")
	if first, n := utf8.DecodeRuneInString(detail); unicode.IsUpper(first) {
		if second, _ := utf8.DecodeRuneInString(detail[n:]); unicode.IsLower(second) || second == ' ' {
			detail = string(unicode.ToLower(first)) + detail[n:]
		}
	}
	return show.Printable(excerpt(detail, 2000))
}

// A gatewayAt is where a gateway is, and what is shown to it.
type gatewayAt struct {
	address   string
	context   string // that has the address, "" when none has
	token     string
	tokenFrom string // for people
	caFile    string
}

// String returns where it is. It never tells the token.
func (g *gatewayAt) String() string {
	if g.context != "" {
		return g.address + " (context " + g.context + ")"
	}
	return g.address
}

// gateway finds out which gateway is meant. What is on the command line goes over the environment,
// and that over the context in use. A context on the command line is taken whole; and the
// token of a context goes nowhere but to the address of that context.
func (a *api) gateway() (g *gatewayAt, err error) {
	given := a.cmd.Flags().Changed
	if given("context") {
		if given("api") {
			return nil, usagef("--api and --context both say which gateway; leave one of them out")
		}
		for name, value := range map[string]*string{"api": &a.address, "token-file": &a.tokenFile, "ca-file": &a.caFile} {
			if !given(name) {
				*value = ""
			}
		}
	}
	g = &gatewayAt{address: a.address}
	var saved savedContext
	if g.address == "" {
		if g.context, saved, err = a.savedContext(); err != nil {
			return nil, err
		}
		g.address = cmp.Or(saved.API, defaultAPI)
	}
	if g.address, err = client.ParseAddress(g.address); err != nil {
		return nil, usagef("%s: %v", a.addressFrom(g), err)
	}
	g.caFile = cmp.Or(a.caFile, saved.CAFile)
	if given("ca-file") && !strings.HasPrefix(g.address, "https:") {
		return nil, usagef("--ca-file: %s is without TLS; write https:// in the address", g)
	}
	return g, a.findToken(g, saved, !given("context"))
}

func (a *api) addressFrom(g *gatewayAt) string {
	if g.context != "" {
		return "context " + g.context
	}
	return setting(a.cmd, "api")
}

// findToken finds the token to show.
func (a *api) findToken(g *gatewayAt, saved savedContext, environment bool) (err error) {
	variable := ""
	if environment && !a.cmd.Flags().Changed("token-file") {
		variable = os.Getenv("LONGWIRE_API_TOKEN")
	}
	switch {
	case variable != "" && a.tokenFile != "":
		return usagef("LONGWIRE_API_TOKEN and LONGWIRE_TOKEN_FILE both say which token; leave one of them out")
	case variable != "":
		g.token, g.tokenFrom = strings.TrimSpace(variable), "LONGWIRE_API_TOKEN"
		if !client.IsToken(g.token) {
			return usagef("LONGWIRE_API_TOKEN: is no token; it has spaces or other characters in it that no token has")
		}
	case a.tokenFile != "" || saved.TokenFile != "":
		file := cmp.Or(a.tokenFile, saved.TokenFile)
		g.tokenFrom = file
		g.token, err = readTokenFile(file)
	case saved.Token != "":
		g.token, g.tokenFrom = saved.Token, "context "+g.context
	}
	return err
}

// client returns a client of the gateway.
func (g *gatewayAt) client() (*client.Client, error) {
	c := client.Config{Address: g.address, Token: g.token, UserAgent: strings.Join(strings.Fields(version())[:2], "/")}
	if g.caFile != "" {
		var err error
		if c.Roots, err = readAuthorities(g.caFile); err != nil {
			return nil, err
		}
	}
	return client.New(c)
}

// readTokenFile reads a token from a file that has nothing else in it.
func readTokenFile(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("cannot read the token from %s: %w", name, innermost(err))
	}
	defer f.Close()
	text, err := readUpTo(f, 8<<10)
	if err != nil {
		return "", fmt.Errorf("cannot read the token from %s: %w", name, innermost(err))
	}
	token := strings.TrimSpace(string(text))
	if !client.IsToken(token) {
		return "", fmt.Errorf("cannot read the token from %s: there must be the token in it and nothing else", name)
	}
	return token, nil
}

// readAuthorities reads certificates in PEM.
func readAuthorities(name string) (*x509.CertPool, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read authorities from %s: %w", name, innermost(err))
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("cannot read authorities from %s: there is no certificate in PEM in it", name)
	}
	return pool, nil
}
