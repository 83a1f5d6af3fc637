// Package erase deletes objects and shows that no file of the data directory has them any
// more.
//
//   - A [Request] names what to erase.
//   - An [Eraser] does it, as a task of kind [Kind] that continues after a restart. It
//     collects the objects with their descriptors in the folder of the task, deletes
//     them, rewrites all files that may still have them, and searches every file.
//   - A [Report] is the result. Its Remains list what was found.
//
// The search reads tables, logs and segments with decoders of its own. It also searches
// all bytes of each file for the IDs, as bytes and as text, and for the descriptors:
// contiguous, interleaved as in segments, as the byte copy of float32 descriptors, and in
// base64. Descriptors that are too short or almost uniform are not searched, because they
// would be found by chance; their objects are recognised by their IDs only.
//
// A file system may keep old blocks of a file that was replaced. The search does not see
// them.
package erase
