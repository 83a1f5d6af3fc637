// Package task runs the long work of operators, such as snapshots and erasures, and
// shows its progress.
//
//   - A Kind says what one kind of task does.
//   - A Runner runs tasks, one after the other. It keeps a record of each task in a
//     folder, so that a task which the end of the process interrupts continues after
//     the next start.
//   - A Task is what the work of a Kind sees of itself.
//   - An Info is what clients see of a task.
package task
