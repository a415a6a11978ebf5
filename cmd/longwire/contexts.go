package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
)

// contexts is what is kept of gateways by name, in the user's own directory.
type contexts struct {
	InUse    string                  `json:"in_use,omitempty"`
	Contexts map[string]savedContext `json:"contexts"`
}

// A savedContext is a gateway's address and the token for it: the token itself, or a
// file that has it.
type savedContext struct {
	API       string `json:"api"`
	TokenFile string `json:"token_file,omitempty"`
	Token     string `json:"token,omitempty"`
	CAFile    string `json:"ca_file,omitempty"`
}

var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

// names returns the names of all contexts, sorted.
func (c *contexts) names() []string { return slices.Sorted(maps.Keys(c.Contexts)) }

// contextsFile returns the name of the file that contexts are kept in.
func contextsFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("there is no directory to keep contexts in: %w", err)
	}
	return filepath.Join(dir, "longwire", "contexts.json"), nil
}

// loadContexts reads the contexts. Where there is no file there are none.
func loadContexts() (*contexts, error) {
	c := &contexts{Contexts: make(map[string]savedContext)}
	file, err := contextsFile()
	if err != nil {
		return c, nil // and so no file
	}
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read the contexts in %s: %w", file, innermost(err))
	}
	// What is not known would be lost when the file is written again.
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(c) != nil || d.More() || !c.valid() {
		// The error might tell a token.
		return nil, fmt.Errorf("what is in %s are no contexts, or those of a later version; mend the file or remove it", file)
	}
	return c, nil
}

func (c *contexts) valid() bool {
	for name, saved := range c.Contexts {
		if _, err := client.ParseAddress(saved.API); err != nil || !contextName.MatchString(name) || saved.Token != "" && !client.IsToken(saved.Token) {
			return false
		}
	}
	return c.Contexts != nil
}

// save replaces the file with the contexts. There is always the old one or the new one, and
// nobody else can read either.
func (c *contexts) save() (err error) {
	file, err := contextsFile()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot keep contexts in %s: %w", file, innermost(err))
		}
	}()
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".contexts-*") // with mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// savedContext returns the context that is named, or else the one in use. It has no name when
// there is none.
func (a *api) savedContext() (name string, saved savedContext, err error) {
	all, err := loadContexts()
	if err != nil {
		return "", saved, err
	}
	name = a.context
	if name == "" {
		name = all.InUse
	}
	saved, known := all.Contexts[name]
	switch {
	case known:
		return name, saved, nil
	case a.context != "":
		return "", saved, usagef(`%s: there is no context %.64q; "longwire context list" tells which there are`, setting(a.cmd, "context"), name)
	}
	return "", saved, nil
}

func completeContext(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	all, err := loadContexts()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return all.names(), cobra.ShellCompDirectiveNoFileComp
}
