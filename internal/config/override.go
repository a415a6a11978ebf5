package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// An Override is a value for a setting that goes before the one in the file.
type Override struct {
	Setting string // its path; that of a setting of the only listener begins with listeners[]
	Value   string // as it would stand in the file
	From    string // what errors name: the flag or the variable
}

const (
	variablePrefix = "LONGWIRE_"
	onlyListener   = "listeners[]"
	listenVariable = variablePrefix + "LISTEN"
)

// variable returns the name of the environment variable for a setting.
func variable(setting string) string {
	if setting == onlyListener+".address" {
		return listenVariable
	}
	name := strings.TrimPrefix(setting, onlyListener+".")
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(name, ".", "_"))
}

// settingsByVariable has the paths of all settings that are one value.
func settingsByVariable() map[string]string {
	paths := make(map[string]string)
	eachValue(func(path string, _ setting) { paths[variable(path)] = path })
	return paths
}

// notSettings are the variables that other commands read, or that say where the
// configuration is.
var notSettings = []string{variablePrefix + "CONFIG", variablePrefix + "ID", variablePrefix + "TOKEN", variablePrefix + "API", variablePrefix + "API_TOKEN", variablePrefix + "CONTEXT", variablePrefix + "TOKEN_FILE", variablePrefix + "CA_FILE", variablePrefix + "SLEEP", variablePrefix + "SLEEP_TYPE"}

// Environment returns what the variables of an environment, each NAME=value, say: one
// for each setting, as LONGWIRE_HTTP_ADDRESS for http.address. Those of a listener are
// without that word, and the address is LONGWIRE_LISTEN. An empty variable counts as
// one that is not set. A variable that is written nearly like one of these becomes an
// Override that Parse refuses.
func Environment(environ []string) []Override {
	paths := settingsByVariable()
	var over []Override
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if value == "" || !strings.HasPrefix(name, variablePrefix) || slices.Contains(notSettings, name) {
			continue
		}
		if path, ok := paths[name]; ok || similarVariable(name, paths) != "" {
			over = append(over, Override{Setting: path, Value: value, From: name})
		}
	}
	slices.SortFunc(over, func(a, b Override) int { return strings.Compare(a.From, b.From) })
	return over
}

// Flag returns the override of a flag that has the name of a variable: log-file for
// LONGWIRE_LOG_FILE.
func Flag(name, value string) Override {
	v := variablePrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	return Override{Setting: settingsByVariable()[v], Value: value, From: "--" + name}
}

func similarVariable(name string, paths map[string]string) string {
	var known []string
	for k := range paths {
		known = append(known, k)
	}
	slices.Sort(known)
	return didYouMean(name, known)
}

// override sets what overrides say, in their order.
func (d *decoder) override(c *Config, over []Override) {
	for _, o := range over {
		if problem := d.overrideOne(c, o); problem != "" {
			d.problems = append(d.problems, &Problem{From: o.From, Setting: o.Setting, Text: problem})
		}
	}
}

func (d *decoder) overrideOne(c *Config, o Override) (problem string) {
	if o.Setting == "" {
		return "there is no such setting" + similarVariable(o.From, settingsByVariable())
	}
	v, path := reflect.ValueOf(c).Elem(), ""
	if rest, ok := strings.CutPrefix(o.Setting, onlyListener+"."); ok {
		if n := len(c.Listeners); n != 1 {
			return fmt.Sprintf("there are %d listeners, and it cannot say which it is for; set %s in the file", n, rest)
		}
		v, path = reflect.ValueOf(&c.Listeners[0]).Elem(), "listeners[0]"
		o.Setting = rest
	}
	var s setting
	for name := range strings.SplitSeq(o.Setting, ".") {
		if v.Kind() == reflect.Pointer {
			if v.IsNil() {
				v.Set(newDefault(v.Type().Elem()))
			}
			v = v.Elem()
		}
		var ok bool
		if s, ok = settingOf(v.Type(), name); !ok {
			return "there is no setting " + o.Setting
		}
		v, path = v.FieldByIndex(s.index), join(path, name)
	}
	if err := s.set(v, o.Value); err != nil {
		return err.Error()
	}
	d.origins[path] = origin{from: o.From}
	return ""
}
