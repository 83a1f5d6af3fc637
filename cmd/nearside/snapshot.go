package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"

	"nearside/internal/snapshot"
)

type snapshotCmd struct {
	Create  snapshotCreateCmd  `cmd:"" help:"Make a snapshot on a server."`
	List    snapshotListCmd    `cmd:"" help:"Print the snapshots of a server."`
	Get     snapshotGetCmd     `cmd:"" help:"Download a snapshot as a tar file."`
	Delete  snapshotDeleteCmd  `cmd:"" help:"Delete snapshots of a server."`
	Verify  snapshotVerifyCmd  `cmd:"" help:"Compare the files of a snapshot with its sums."`
	Restore snapshotRestoreCmd `cmd:"" help:"Make a data directory of a snapshot."`
}

const snapshotPath = "/1/snapshots"

type snapshotCreateCmd struct {
	remoteFlag
	Name   string `arg:"" optional:"" help:"Name of the snapshot (default: the time in UTC)."`
	NoWait bool   `help:"Do not wait until the snapshot is made."`
}

// Help is printed below the flags.
func (*snapshotCreateCmd) Help() string {
	return `Example:

    nearside snapshot create before-upgrade

The server makes the snapshot while it serves, in its own folder of snapshots (snapshots.dir). The output is JSON with the name and the size. With --no-wait it is the id of the task, and the snapshot may still fail. After Ctrl-C, the server goes on with the snapshot.

` + commonExitCodes
}

// Run starts the task and waits for its end.
func (c *snapshotCreateCmd) Run(s *system) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	body := map[string]string{}
	if c.Name != "" {
		body["name"] = c.Name
	}
	data, err := server.call(s.ctx, http.MethodPost, snapshotPath, nil, body)
	if err != nil {
		return err
	}
	if c.NoWait {
		return printLine(s, data)
	}
	var started struct{ Task string }
	if err := json.Unmarshal(data, &started); err != nil {
		return fmt.Errorf("server: answer: %w", err)
	}
	report, err := server.waitTask(s, started.Task)
	if err != nil {
		return err
	}
	return printLine(s, report)
}

type snapshotListCmd struct{ remoteFlag }

// Help is printed below the flags.
func (*snapshotListCmd) Help() string {
	return "Example:\n\n    nearside snapshot list\n\nEach snapshot is printed as one line of JSON, the oldest first.\n\n" + commonExitCodes
}

// Run prints the snapshots.
func (c *snapshotListCmd) Run(s *system) error {
	server, err := c.client(s)
	if err != nil {
		return err
	}
	data, err := server.call(s.ctx, http.MethodGet, snapshotPath, nil, nil)
	if err != nil {
		return err
	}
	var answer struct{ Snapshots []json.RawMessage }
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("server: answer: %w", err)
	}
	for _, one := range answer.Snapshots {
		if err := printLine(s, one); err != nil {
			return err
		}
	}
	return nil
}

type snapshotGetCmd struct {
	remoteFlag
	Name   string `arg:"" help:"Name of the snapshot."`
	Output string `short:"o" help:"File to write (default: the name and .tar). It appears when it is complete." placeholder:"FILE"`
}

// Help is printed below the flags.
func (*snapshotGetCmd) Help() string {
	return `Examples:

    nearside snapshot get before-upgrade
    nearside snapshot get before-upgrade -o /backup/nearside.tar

The file is verified when it has arrived.

` + commonExitCodes
}

// Run downloads a snapshot, verifies it, and then gives it its name.
func (c *snapshotGetCmd) Run(s *system) error {
	if err := snapshot.CheckName(c.Name); err != nil {
		return usagef("%v", err)
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	answer, err := server.stream(s.ctx, http.MethodGet, snapshotPath+"/"+c.Name, nil, "", nil)
	if err != nil {
		return err
	}
	defer closeRead(answer)
	output := c.Output
	if output == "" {
		output = c.Name + ".tar"
	}
	in := &errorRecorder{Reader: answer}
	return writeAtomically(output, func(w io.Writer) error {
		if _, err := io.Copy(w, in); err != nil {
			if in.err != nil {
				err = fmt.Errorf("the snapshot is incomplete: %w; the log of the server may say why", server.explain(s.ctx, in.err))
			}
			return err
		}
		file := w.(*os.File)
		if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
			return err
		}
		if _, err := snapshot.Verify(s.ctx, file.Name(), nil); err != nil {
			return fmt.Errorf("the snapshot was damaged on its way: %w", err)
		}
		return file.Sync()
	})
}

type snapshotDeleteCmd struct {
	remoteFlag
	Names []string `arg:"" name:"name" help:"Names of the snapshots."`
}

// Help is printed below the flags.
func (*snapshotDeleteCmd) Help() string {
	return "Example:\n\n    nearside snapshot delete before-upgrade\n\nThe output is JSON with the number of deleted snapshots.\n\n" + commonExitCodes
}

// Run deletes the snapshots one after the other.
func (c *snapshotDeleteCmd) Run(s *system) error {
	for _, name := range c.Names {
		if err := snapshot.CheckName(name); err != nil {
			return usagef("%v", err)
		}
	}
	server, err := c.client(s)
	if err != nil {
		return err
	}
	for i, name := range c.Names {
		if _, err := server.call(s.ctx, http.MethodDelete, snapshotPath+"/"+name, nil, nil); err != nil {
			if i > 0 {
				err = fmt.Errorf("%w; %d snapshots were deleted before", err, i)
			}
			return err
		}
	}
	return printJSON(s, map[string]int{"deleted": len(c.Names)})
}

type snapshotVerifyCmd struct {
	Snapshot string `arg:"" help:"Folder or tar file of the snapshot."`
}

// Help is printed below the flags.
func (*snapshotVerifyCmd) Help() string {
	return `Examples:

    nearside snapshot verify data/snapshots/before-upgrade
    nearside snapshot verify before-upgrade.tar

It needs no server. Each file that is missing, changed or not in the manifest is named, and so is the place where a tar file was cut. The output is JSON with what the manifest says about the snapshot.

` + commonExitCodes
}

// Run verifies a snapshot.
func (c *snapshotVerifyCmd) Run(s *system) error {
	bar := newPartProgress(s.stderr)
	m, err := snapshot.Verify(s.ctx, c.Snapshot, bar.setPart)
	bar.close()
	if err != nil {
		return fmt.Errorf("the snapshot %s was not verified:\n%w", c.Snapshot, err)
	}
	return printManifest(s, m)
}

// printManifest prints a manifest without the list of files.
func printManifest(s *system, m *snapshot.Manifest) error {
	return printJSON(s, map[string]any{
		"name": m.Name, "create_time": m.Created, "version": m.Version, "records": m.Records, "files": len(m.Files), "bytes": m.Bytes,
	})
}

type snapshotRestoreCmd struct {
	Snapshot string `arg:"" help:"Folder or tar file of the snapshot."`
	DataDir  string `required:"" help:"Data directory to make. It must be empty or not exist." placeholder:"DIR"`
}

// Help is printed below the flags.
func (*snapshotRestoreCmd) Help() string {
	return `Examples:

    nearside snapshot restore data/snapshots/before-upgrade --data-dir restored
    nearside snapshot restore before-upgrade.tar --data-dir /var/lib/nearside

It needs no server. First, the whole snapshot is verified as by nearside snapshot verify, and nothing is written if anything is wrong. A folder snapshots in the data directory stays as it is. If the restore is interrupted, run it again; until then, nearside serve refuses the data directory. The configuration, keys and plugins are not in a snapshot.

` + commonExitCodes
}

// Run restores a snapshot.
func (c *snapshotRestoreCmd) Run(s *system) error {
	bar := newPartProgress(s.stderr)
	m, err := snapshot.Restore(s.ctx, c.Snapshot, c.DataDir, bar.setPart)
	bar.close()
	if err != nil {
		return fmt.Errorf("%s was not restored:\n%w", c.Snapshot, err)
	}
	return printManifest(s, m)
}
