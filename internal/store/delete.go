package store

import (
	"context"
	"encoding/json"

	"github.com/nats-io/nats.go"
)

// Delete deletes all records of these keys. It may be that some are back after a
// power failure. It needs no free space beyond the reserve.
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
	if err := l.purgeAll(ctx, e, keys); err != nil {
		return unavailable(err)
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
	waiting := 0
	for i, key := range keys {
		body, err := json.Marshal(purgeRequest{l.subject(key)})
		if err != nil {
			return err
		}
		if err := e.nc.PublishRequest(apiPurge+streamName(l.conf.Name), inbox, body); err != nil {
			return err
		}
		waiting++
		for waiting == deleteDepth || i == len(keys)-1 && waiting > 0 {
			m, err := sub.NextMsgWithContext(ctx)
			if err != nil {
				return context.Cause(ctx)
			}
			if err := parseAnswer(m, nil); err != nil {
				return err
			}
			waiting--
		}
	}
	return nil
}
