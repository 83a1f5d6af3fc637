// Package needle finds many byte sequences in large files in one pass.
//
//   - A [Set] has the sequences, called needles. It keeps about 40 bytes of each needle,
//     however long the needle is: eight bytes of it, and a hash of all of it.
//   - A needle is either contiguous, or interleaved: four bytes in each line of 64 bytes,
//     as in the blocks of package simd.
//   - A [Hit] is the place of a needle. Needles are recognised by 128 bits, so a wrong
//     hit practically never occurs.
package needle
