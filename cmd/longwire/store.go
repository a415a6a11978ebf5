package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/show"
	"github.com/longwire/longwire/internal/store"
)

func newStore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "store",
		Short: "What a gateway keeps on disk",
		Long: `Store is about what a gateway keeps in its data directory: "longwire store stats" asks
one that runs, and "longwire store check" reads all that is in a directory that none
has open.`,
		Args: onlyCommands,
		RunE: showHelp,
	}
	cmd.AddCommand(newStoreCheck(), newStoreStats())
	return cmd
}

func newStoreCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check DIR",
		Short: "Read all that is kept in a directory",
		Long: `Check opens the data directory of a gateway that does not run, as serve would, reads
every record, and shows what each log has: commands, events, what is known of devices,
and how far the delivery of events has come. It deletes nothing that serve would not:
what has expired goes, and a log that cannot be opened is set aside in the directory.

The exit status is 0 when all is well, and 1 when something is damaged or was lost.`,
		Example: "  longwire store check /var/lib/longwire/data",
		Args:    arguments("DIR"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, _, release := untilSignal(cmd.Context())
			defer release()
			return checkStore(ctx, cmd, args[0])
		},
	}
}

// checkStore reads what is kept in a directory.
func checkStore(ctx context.Context, cmd *cobra.Command, dir string) (err error) {
	if _, err := os.Stat(dir); err != nil {
		return fmt.Errorf("cannot read %s: %w", dir, innermost(err))
	}
	if _, err := os.Stat(filepath.Join(dir, "jetstream")); err != nil {
		return fmt.Errorf("there is nothing in %s that a gateway has kept", dir)
	}
	// The limits are those of a configuration that is not known here; without any, nothing is
	// deleted for being too much or too old.
	logs := gateway.Logs(gateway.Sizes{})
	for i := range logs {
		logs[i].MaxBytes, logs[i].MaxAge = 0, 0
	}
	s, err := store.Open(ctx, store.Config{Dir: dir, Logs: logs, Reserve: -1})
	switch {
	case errors.Is(err, store.ErrLocked):
		return fmt.Errorf(`%s is in use by a gateway that runs; stop that first, or ask it with "longwire store stats"`, dir)
	case err != nil:
		return fmt.Errorf("cannot open %s: %w", dir, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t := table{{"LOG", "RECORDS", "BYTES", "OLDEST", "NEWEST", "DAMAGED", "MISSING"}}
	var damaged, missing uint64
	for i, l := range s.Stats().Logs {
		read, err := readLog(ctx, s.Log(l.Name))
		if err != nil {
			return fmt.Errorf("cannot read the log %s: %w", l.Name, err)
		}
		if logs[i].Latest { // where records are replaced there are gaps
			read.missing = 0
		}
		hurt := s.Stats().Logs[i].Damaged
		damaged, missing = damaged+hurt, missing+max(read.missing, hurt)-hurt
		t = append(t, []string{
			l.Name, strconv.Itoa(read.records), byteText(int64(l.Bytes)), read.oldest, read.newest,
			strconv.FormatUint(hurt, 10), strconv.FormatUint(max(read.missing, hurt)-hurt, 10),
		})
	}
	if err := write(cmd.OutOrStdout(), t.text()); err != nil {
		return fmt.Errorf("cannot print the result: %w", innermost(err))
	}
	lost := s.Stats().Lost
	return lostOf(lost, damaged, missing-min(missing, lost.Records()))
}

// A logRead is what was read of a log.
type logRead struct {
	records        int
	missing        uint64 // numbers between the first and the last that no record has
	oldest, newest string
}

func readLog(ctx context.Context, l *store.Log) (read logRead, err error) {
	read.oldest, read.newest = "-", "-"
	for after := uint64(0); ; {
		records, err := l.Read(ctx, "", after, 0)
		if err != nil || len(records) == 0 {
			return read, err
		}
		if read.records == 0 {
			read.oldest = localTime(records[0].At)
			after = records[0].Seq - 1
		}
		last := records[len(records)-1]
		read.records += len(records)
		read.missing += last.Seq - after - uint64(len(records))
		read.newest, after = localTime(last.At), last.Seq
	}
}

// lostOf says what is not there any more, nil where nothing is missing.
func lostOf(lost store.Lost, damaged, missing uint64) error {
	var what []string
	if damaged > 0 {
		what = append(what, number(int(damaged), "record")+" damaged")
	}
	if missing > 0 {
		what = append(what, number(int(missing), "record")+" missing")
	}
	for _, d := range lost.Damage {
		what = append(what, fmt.Sprintf("%s of the log %s lost (%s), and the damaged files are kept in %s", number(int(d.Records), "record"), d.Log, byteText(d.Bytes), d.Kept))
	}
	for _, dir := range lost.SetAside {
		what = append(what, "a log was not recognised and has been mended; as it was, it is in "+dir)
	}
	if len(what) == 0 {
		return nil
	}
	return errors.New(strings.Join(what, "; "))
}

// byteText writes a number of bytes for people.
func byteText(n int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	f, i := float64(n), 0
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

func newStoreStats() *cobra.Command {
	a, asJSON := new(api), false
	cmd := &cobra.Command{
		Use:   "stats",
		Short: "Show what a gateway that runs keeps",
		Long: `Stats shows what each log of a gateway's store has, how long it takes until something
is on disk (COMMIT, and the longest), how many records there was no room for
(REFUSED), may not have been written (FAILED) or were damaged; and the commands. What
is counted, is counted since the gateway was started.

The exit status is 1 when nothing is kept at the moment.

` + aboutAPI,
		Example:           "  longwire store stats",
		Args:              arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				body, err := c.Store(ctx)
				if err != nil {
					return err
				}
				return a.showStore(body, asJSON)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&asJSON, "json", false, "print all of it as a line of JSON")
	a.addFlags(cmd)
	return cmd
}

// showStore prints what a gateway keeps. It is an error when it takes nothing.
func (a *api) showStore(body json.RawMessage, asJSON bool) error {
	var k client.Keeping
	if json.Unmarshal(body, &k) != nil {
		return &client.StrangeError{Status: 200}
	}
	var err error
	if asJSON {
		err = a.printJSON(body)
	} else {
		err = a.print(storeText(&k))
	}
	if err == nil && k.Error != "" {
		err = fmt.Errorf("nothing is kept at the moment: %s", asClause(k.Error))
	}
	return err
}

func storeText(k *client.Keeping) []byte {
	logs := table{{"LOG", "RECORDS", "KEYS", "BYTES", "COMMIT", "LONGEST", "REFUSED", "FAILED", "DAMAGED"}}
	for _, l := range k.Logs {
		mean := "-"
		if l.Commits > 0 {
			mean = secondsText(l.CommitSeconds / float64(l.Commits))
		}
		logs = append(logs, []string{
			show.Printable(l.Name), strconv.FormatUint(l.Records, 10), strconv.FormatUint(l.Keys, 10), byteText(int64(l.Bytes)), mean,
			secondsText(l.MaxCommitSeconds), strconv.FormatUint(l.Refused, 10), strconv.FormatUint(l.Failed, 10), strconv.FormatUint(l.Damaged, 10),
		})
	}
	c := &k.Commands
	more := table{
		{"commands", fmt.Sprintf("%d wait for %s (%s), %d in flight", c.Waiting, number(c.Devices, "device"), byteText(c.Bytes), c.InFlight)},
		{"ended", fmt.Sprintf("%d done, %d failed, %d expired, %d dead, %d cancelled", c.Ended.Done, c.Ended.Failed, c.Ended.Expired, c.Ended.Dead, c.Ended.Cancelled)},
	}
	if d := k.Delivery; d != nil {
		more = append(more, []string{"delivery", fmt.Sprintf("%d delivered, %d refused, %d gone, %d attempts failed, %d ahead", d.Delivered, d.Refused, d.Gone, d.Failed, d.Ahead)})
	}
	if k.NotKept > 0 {
		more = append(more, []string{"not kept", number(int(k.NotKept), "event")})
	}
	if k.FreeBytes != nil {
		more = append(more, []string{"free", byteText(*k.FreeBytes)})
	}
	if k.Lost.Records > 0 {
		more = append(more, []string{"lost", fmt.Sprintf("%s (%s)", number(int(k.Lost.Records), "record"), byteText(int64(k.Lost.Bytes)))})
	}
	for _, dir := range k.Lost.SetAside {
		more = append(more, []string{"set aside", show.Printable(dir)})
	}
	return append(append(logs.text(), '\n'), more.text()...)
}

func secondsText(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(10 * time.Microsecond).String()
}
