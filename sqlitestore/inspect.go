package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/refrain-dev/refrain"
)

// Inspect is Audit for a file that no store is open on, and changes nothing: one that is not there is not made, and one that is
// somebody else's stays as it is.
func Inspect(ctx context.Context, file string) ([]refrain.Remark, error) {
	in := &inspector{}
	in.tier()
	path, err := filepath.Abs(file)
	if err == nil {
		_, err = os.Stat(path)
	}
	switch {
	case errors.Is(err, os.ErrNotExist):
		err = in.noFile(path)
	case err == nil:
		err = in.inspect(ctx, path)
	}
	if err != nil {
		return in.remarks, fmt.Errorf("auditing the store in %s: %w", file, err)
	}
	return in.remarks, nil
}

func (in *inspector) noFile(path string) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); err != nil {
		return err
	}
	in.say(refrain.GradeOK, "file", "%s is made when the store is first opened", path)
	in.fileSystem(dir)
	return nil
}

func (in *inspector) inspect(ctx context.Context, path string) error {
	db, err := pool(path, 1, true)
	if err != nil {
		return err
	}
	defer db.Close()
	made, err := known(ctx, path, db)
	if err != nil {
		return err
	}
	if !made {
		in.say(refrain.GradeOK, "tables", "are made when the store is first opened, which puts the file into WAL mode")
	} else {
		own, err := settingsOf(ctx, db)
		if err != nil {
			return unavailable(err)
		}
		in.settings(own)
	}
	in.place(path)
	return nil
}

// known reports whether the file has the tables of a store, and returns an error if this program cannot use them.
func known(ctx context.Context, path string, db *sql.DB) (made bool, err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return false, unavailable(err)
	}
	defer conn.Close()
	err = patiently(ctx, func() (err error) {
		made, err = hasTables(ctx, conn)
		if err == nil && made {
			err = (&Store{path: path}).readShared(ctx, conn)
		}
		return err
	})
	if err != nil && !errors.Is(err, ErrSchema) {
		err = unavailable(err)
	}
	return made, err
}
