// Measures FAISS and OpenBLAS as peers: the top 10 of 1 to 64 queries over the rows of a
// file, by exhaustive search. README.md describes the protocol of the program.
#include <faiss/IndexFlat.h>
#include <faiss/IndexScalarQuantizer.h>
#include <omp.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

extern "C" {
void cblas_sgemm(int order, int transA, int transB, int m, int n, int k, float alpha, const float* a, int lda, const float* b,
		 int ldb, float beta, float* c, int ldc);
void openblas_set_num_threads(int);
char* openblas_get_config();
}

namespace {

constexpr int K = 10;

std::vector<unsigned char> readAll(const char* path, size_t bytes) {
	std::vector<unsigned char> data(bytes);
	FILE* f = std::fopen(path, "rb");
	if (!f || std::fread(data.data(), 1, bytes, f) != bytes) {
		std::fprintf(stderr, "faiss: %s: cannot read %zu bytes\n", path, bytes);
		std::exit(1);
	}
	std::fclose(f);
	return data;
}

// toFloats converts n values of a file to float. Bytes keep their values from 0 to 255.
std::vector<float> toFloats(const unsigned char* from, size_t n, bool bytes) {
	std::vector<float> to(n);
	if (!bytes) {
		std::memcpy(to.data(), from, 4 * n);
		return to;
	}
	for (size_t i = 0; i < n; i++) to[i] = from[i];
	return to;
}

struct Peer {
	std::string name, version;
	// search searches with the first n queries and sets ids to the rows of the first one.
	std::function<void(int n, std::vector<int64_t>& ids)> search;
};

Peer faissPeer(const std::string& name, std::shared_ptr<faiss::Index> index, const std::vector<float>& queries) {
	return {name, FAISS_PACKAGE, [index, &queries](int n, std::vector<int64_t>& ids) {
			std::vector<float> distances(static_cast<size_t>(n) * K);
			std::vector<faiss::Index::idx_t> labels(static_cast<size_t>(n) * K);
			index->search(n, queries.data(), K, distances.data(), labels.data());
			ids.assign(labels.begin(), labels.begin() + K);
		}};
}

// sgemmPeer computes all dot products, block by block of rows, without a top 10.
Peer sgemmPeer(const std::vector<float>& rows, const std::vector<float>& queries, int dim) {
	return {"openblas sgemm, no top-10", std::string(OPENBLAS_PACKAGE) + " " + openblas_get_config(),
		[&rows, &queries, dim](int n, std::vector<int64_t>& ids) {
			constexpr size_t block = 4096;
			constexpr int rowMajor = 101, plain = 111, transposed = 112;
			std::vector<float> products(block * n);
			for (size_t i = 0, all = rows.size() / dim; i < all; i += block) {
				const int m = static_cast<int>(std::min(block, all - i));
				cblas_sgemm(rowMajor, plain, transposed, n, m, dim, 1, queries.data(), dim, &rows[i * dim], dim, 0,
					    products.data(), m);
			}
			ids.clear();
		}};
}

}  // namespace

int main(int argc, char** argv) {
	if (argc != 7) {
		std::fprintf(stderr, "usage: faiss ROWS QUERIES uint8|float32 DIM NROWS NQUERIES\n");
		return 2;
	}
	const bool bytes = std::string(argv[3]) == "uint8";
	const int dim = std::atoi(argv[4]), nqueries = std::atoi(argv[6]);
	const size_t nrows = std::strtoull(argv[5], nullptr, 10), size = bytes ? 1 : 4;
	const auto rawQueries = readAll(argv[2], size * dim * nqueries);
	const auto queries = toFloats(rawQueries.data(), static_cast<size_t>(dim) * nqueries, bytes);
	std::vector<float> rows;  // only for float32
	std::vector<Peer> peers;
	{
		auto raw = readAll(argv[1], size * dim * nrows);
		std::vector<std::shared_ptr<faiss::Index>> indexes;
		if (bytes) {
			using Q = faiss::ScalarQuantizer;
			indexes.push_back(std::make_shared<faiss::IndexScalarQuantizer>(dim, Q::QT_8bit, faiss::METRIC_L2));
			indexes.push_back(std::make_shared<faiss::IndexScalarQuantizer>(dim, Q::QT_8bit_direct, faiss::METRIC_L2));
			const size_t sample = std::min<size_t>(nrows, 16384);
			for (auto& index : indexes) index->train(sample, toFloats(raw.data(), sample * dim, true).data());
		} else {
			indexes.push_back(std::make_shared<faiss::IndexFlatL2>(dim));
		}
		constexpr size_t block = 16384;
		for (size_t i = 0; i < nrows; i += block) {
			const size_t m = std::min(block, nrows - i);
			const auto part = toFloats(&raw[i * dim * size], m * dim, bytes);
			for (auto& index : indexes) index->add(m, part.data());
		}
		if (bytes) {
			peers.push_back(faissPeer("faiss SQ8", indexes[0], queries));
			peers.push_back(faissPeer("faiss SQ8 direct", indexes[1], queries));
		} else {
			peers.push_back(faissPeer("faiss flat", indexes[0], queries));
			rows = toFloats(raw.data(), nrows * dim, false);
			peers.push_back(sgemmPeer(rows, queries, dim));
		}
	}
	for (const auto& p : peers) std::printf("{\"peer\": \"%s\", \"version\": \"%s\"}\n", p.name.c_str(), p.version.c_str());
	std::printf("{\"ready\": true}\n");
	std::fflush(stdout);
	int peer, n, threads;
	std::vector<int64_t> ids;
	while (std::scanf("%d %d %d", &peer, &n, &threads) == 3) {
		if (peer < 0 || peer >= static_cast<int>(peers.size()) || n < 1 || n > nqueries || threads < 1) return 2;
		omp_set_num_threads(threads);
		openblas_set_num_threads(threads);
		const auto start = std::chrono::steady_clock::now();
		peers[peer].search(n, ids);
		const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
		std::printf("{\"seconds\": %.9f, \"rows\": [", took.count());
		for (size_t i = 0; i < ids.size(); i++) std::printf("%s%lld", i ? ", " : "", static_cast<long long>(ids[i]));
		std::printf("]}\n");
		std::fflush(stdout);
	}
}
