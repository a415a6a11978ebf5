package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
)

// Delete deletes all records of these keys. It needs no free space beyond the
// reserve, and takes the engine an fsync for each key. When it fails some may have been
// deleted.
func (l *Log) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return err
		}
	}
	e, err := l.store.accepting()
	if err != nil {
		return err
	}
	for some := range slices.Chunk(keys, deleteDepth) {
		if err := l.purgeAll(ctx, e, some); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("store: delete: %w", context.Cause(ctx))
			}
			return unavailable(err)
		}
	}
	return nil
}

// deleteDepth is how many keys the engine is asked to delete at once. Each is a
// question of its own, so to wait for one after the other would take long.
const deleteDepth = 256

func (l *Log) purgeAll(ctx context.Context, e *engine, keys []string) error {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	inbox := nats.NewInbox()
	sub, err := e.nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	for _, key := range keys {
		body, err := json.Marshal(purgeRequest{l.subject(key)})
		if err != nil {
			return err
		}
		if err := e.nc.PublishRequest(apiPurge+streamName(l.conf.Name), inbox, body); err != nil {
			return err
		}
	}
	for range keys {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return context.Cause(ctx)
		}
		if err := parseAnswer(m, nil); err != nil {
			return err
		}
	}
	return nil
}
