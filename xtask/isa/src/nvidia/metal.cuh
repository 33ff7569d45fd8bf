// Definitions that make naga's Metal text CUDA: its address spaces, vectors, functions and atomics.

typedef unsigned int uint;
#define device
#define thread
#define threadgroup
#define constant const
#define INLINE __device__ __forceinline__

namespace metal {

using ::uint;

template <class T, int N> struct vec;

template <class T> struct alignas(2 * sizeof(T)) vec<T, 2> {
    T x, y;
    vec() = default;
    INLINE explicit vec(T a) : x(a), y(a) {}
    INLINE vec(T a, T b) : x(a), y(b) {}
    template <class S> INLINE explicit vec(vec<S, 2> a) : x(T(a.x)), y(T(a.y)) {}
    INLINE T &operator[](uint i) { return i == 0 ? x : y; }
    INLINE T operator[](uint i) const { return i == 0 ? x : y; }
};

template <class T> struct vec<T, 3> {
    T x, y, z;
    vec() = default;
    INLINE explicit vec(T a) : x(a), y(a), z(a) {}
    INLINE vec(T a, T b, T c) : x(a), y(b), z(c) {}
    INLINE T &operator[](uint i) { return i == 0 ? x : i == 1 ? y : z; }
    INLINE T operator[](uint i) const { return i == 0 ? x : i == 1 ? y : z; }
};

template <class T> struct alignas(4 * sizeof(T)) vec<T, 4> {
    T x, y, z, w;
    vec() = default;
    INLINE explicit vec(T a) : x(a), y(a), z(a), w(a) {}
    INLINE vec(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}
    INLINE vec(vec<T, 2> a, vec<T, 2> b) : x(a.x), y(a.y), z(b.x), w(b.y) {}
    template <class S> INLINE explicit vec(vec<S, 4> a) : x(T(a.x)), y(T(a.y)), z(T(a.z)), w(T(a.w)) {}
    INLINE T &operator[](uint i) { return i == 0 ? x : i == 1 ? y : i == 2 ? z : w; }
    INLINE T operator[](uint i) const { return i == 0 ? x : i == 1 ? y : i == 2 ? z : w; }
};

typedef vec<float, 2> float2; typedef vec<float, 3> float3; typedef vec<float, 4> float4;
typedef vec<uint, 2> uint2; typedef vec<uint, 3> uint3; typedef vec<uint, 4> uint4;
typedef vec<int, 2> int2; typedef vec<int, 3> int3; typedef vec<int, 4> int4;
// A matrix of four columns.
struct float4x4 {
    float4 columns[4];
    float4x4() = default;
    INLINE float4x4(float4 a, float4 b, float4 c, float4 d) : columns{a, b, c, d} {}
    INLINE float4 &operator[](uint i) { return columns[i]; }
    INLINE float4 operator[](uint i) const { return columns[i]; }
};
INLINE float4x4 transpose(float4x4 m) {
    return float4x4(float4(m[0].x, m[1].x, m[2].x, m[3].x), float4(m[0].y, m[1].y, m[2].y, m[3].y),
                    float4(m[0].z, m[1].z, m[2].z, m[3].z), float4(m[0].w, m[1].w, m[2].w, m[3].w));
}
typedef vec<bool, 2> bool2; typedef vec<bool, 3> bool3; typedef vec<bool, 4> bool4;

// A function of numbers, applied to vectors.
template <class R, class T, class F> INLINE vec<R, 2> each(vec<T, 2> a, F f) { return vec<R, 2>(f(a.x), f(a.y)); }
template <class R, class T, class F> INLINE vec<R, 4> each(vec<T, 4> a, F f) {
    return vec<R, 4>(f(a.x), f(a.y), f(a.z), f(a.w));
}
template <class R, class T, class F> INLINE vec<R, 2> each(vec<T, 2> a, vec<T, 2> b, F f) {
    return vec<R, 2>(f(a.x, b.x), f(a.y, b.y));
}
template <class R, class T, class F> INLINE vec<R, 4> each(vec<T, 4> a, vec<T, 4> b, F f) {
    return vec<R, 4>(f(a.x, b.x), f(a.y, b.y), f(a.z, b.z), f(a.w, b.w));
}

#define BINARY(o)                                                                                                      \
    template <class T, int N> INLINE vec<T, N> operator o(vec<T, N> a, vec<T, N> b) {                                  \
        return each<T>(a, b, [](T a, T b) { return T(a o b); });                                                       \
    }                                                                                                                  \
    template <class T, int N> INLINE vec<T, N> operator o(vec<T, N> a, T b) { return a o vec<T, N>(b); }               \
    template <class T, int N> INLINE vec<T, N> operator o(T a, vec<T, N> b) { return vec<T, N>(a) o b; }               \
    template <class T, int N> INLINE vec<T, N> &operator o##=(vec<T, N> & a, vec<T, N> b) { return a = a o b; }
BINARY(+) BINARY(-) BINARY(*) BINARY(%) BINARY(&) BINARY(|) BINARY(^) BINARY(<<) BINARY(>>)
#define COMPARE(o)                                                                                                     \
    template <class T, int N> INLINE vec<bool, N> operator o(vec<T, N> a, vec<T, N> b) {                               \
        return each<bool>(a, b, [](T a, T b) { return a o b; });                                                       \
    }
COMPARE(<) COMPARE(>) COMPARE(<=) COMPARE(>=) COMPARE(==) COMPARE(!=)
// Vulkan requires 2.5 units in the last place, which drivers compute by a reciprocal.
INLINE float over(float a, float b) { return __fdividef(a, b); }
INLINE uint over(uint a, uint b) { return a / b; }
template <class T, int N> INLINE vec<T, N> operator/(vec<T, N> a, vec<T, N> b) {
    return each<T>(a, b, [](T a, T b) { return over(a, b); });
}
template <class T, int N> INLINE vec<T, N> operator/(vec<T, N> a, T b) { return a / vec<T, N>(b); }
template <class T, int N> INLINE vec<T, N> operator/(T a, vec<T, N> b) { return vec<T, N>(a) / b; }
template <class T, int N> INLINE vec<T, N> operator-(vec<T, N> a) { return each<T>(a, [](T a) { return -a; }); }
template <class T, int N> INLINE vec<T, N> operator~(vec<T, N> a) { return each<T>(a, [](T a) { return T(~a); }); }
template <int N> INLINE vec<bool, N> operator!(vec<bool, N> a) { return each<bool>(a, [](bool a) { return !a; }); }

INLINE float fma(float a, float b, float c) { return fmaf(a, b, c); }
INLINE float4 fma(float4 a, float4 b, float4 c) {
    return float4(fmaf(a.x, b.x, c.x), fmaf(a.y, b.y, c.y), fmaf(a.z, b.z, c.z), fmaf(a.w, b.w, c.w));
}
INLINE float min(float a, float b) { return fminf(a, b); }
INLINE float max(float a, float b) { return fmaxf(a, b); }
INLINE uint min(uint a, uint b) { return a < b ? a : b; }
INLINE uint max(uint a, uint b) { return a > b ? a : b; }
INLINE int min(int a, int b) { return a < b ? a : b; }
INLINE int max(int a, int b) { return a > b ? a : b; }
INLINE float exp(float a) { return __expf(a); }
INLINE float log(float a) { return __logf(a); }
INLINE float abs(float a) { return fabsf(a); }
INLINE float floor(float a) { return floorf(a); }
INLINE float sign(float a) { return a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : 0.0f; }
#define MAP1(f) template <int N> INLINE vec<float, N> f(vec<float, N> a) { return each<float>(a, [](float a) { return f(a); }); }
#define MAP2(f) template <class T, int N> INLINE vec<T, N> f(vec<T, N> a, vec<T, N> b) { return each<T>(a, b, [](T a, T b) { return f(a, b); }); }
MAP1(exp) MAP1(log) MAP1(abs) MAP1(sign) MAP1(floor) MAP2(min) MAP2(max)
template <class T> INLINE T clamp(T x, T low, T high) { return min(max(x, low), high); }
template <class T> INLINE T select(T no, T yes, bool which) { return which ? yes : no; }
template <class T> INLINE vec<T, 2> select(vec<T, 2> no, vec<T, 2> yes, bool2 which) {
    return vec<T, 2>(which.x ? yes.x : no.x, which.y ? yes.y : no.y);
}
template <class T> INLINE vec<T, 4> select(vec<T, 4> no, vec<T, 4> yes, bool4 which) {
    return vec<T, 4>(which.x ? yes.x : no.x, which.y ? yes.y : no.y, which.z ? yes.z : no.z, which.w ? yes.w : no.w);
}
INLINE bool any(bool2 a) { return a.x || a.y; }
INLINE bool any(bool4 a) { return a.x || a.y || a.z || a.w; }
INLINE bool all(bool2 a) { return a.x && a.y; }
INLINE bool all(bool4 a) { return a.x && a.y && a.z && a.w; }

enum memory_order { memory_order_relaxed };
enum class mem_flags { mem_none, mem_threadgroup, mem_device };
INLINE void threadgroup_barrier(mem_flags) { __syncthreads(); }
// Separate for buffers and for workgroup memory, so that each is loaded by its own instruction.
struct atomic_uint { uint word; };
struct shared_atomic_uint { uint word; };
INLINE uint atomic_load_explicit(const atomic_uint *at, memory_order) {
    uint word;
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(word) : "l"(__cvta_generic_to_global(at)) : "memory");
    return word;
}
INLINE void atomic_store_explicit(atomic_uint *at, uint word, memory_order) {
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(__cvta_generic_to_global(at)), "r"(word) : "memory");
}
INLINE uint atomic_load_explicit(const shared_atomic_uint *at, memory_order) {
    return *const_cast<const volatile uint *>(&at->word);
}
INLINE void atomic_store_explicit(shared_atomic_uint *at, uint word, memory_order) {
    *const_cast<volatile uint *>(&at->word) = word;
}
template <class A> INLINE uint atomic_fetch_add_explicit(A *at, uint word, memory_order) { return atomicAdd(&at->word, word); }
template <class A> INLINE uint atomic_fetch_min_explicit(A *at, uint word, memory_order) { return atomicMin(&at->word, word); }
template <class A> INLINE uint atomic_fetch_max_explicit(A *at, uint word, memory_order) { return atomicMax(&at->word, word); }

} // namespace metal

// Two numbers of 16 bits in a word.
struct half2 {
    uint word;
    INLINE explicit half2(uint word) : word(word) {}
    INLINE explicit half2(metal::float2 v) {
        asm("{.reg .b16 l, h; cvt.rn.f16.f32 l, %1; cvt.rn.f16.f32 h, %2; mov.b32 %0, {l, h};}"
            : "=r"(word) : "f"(v.x), "f"(v.y));
    }
    INLINE operator metal::float2() const {
        metal::float2 v;
        asm("{.reg .b16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h;}"
            : "=f"(v.x), "=f"(v.y) : "r"(word));
        return v;
    }
};

template <class To, class From> struct bits;
template <class T> struct bits<T, T> { static INLINE T of(T a) { return a; } };
template <> struct bits<float, uint> { static INLINE float of(uint a) { return __uint_as_float(a); } };
template <> struct bits<uint, float> { static INLINE uint of(float a) { return __float_as_uint(a); } };
template <> struct bits<uint, int> { static INLINE uint of(int a) { return uint(a); } };
template <> struct bits<int, uint> { static INLINE int of(uint a) { return int(a); } };
template <> struct bits<half2, uint> { static INLINE half2 of(uint a) { return half2(a); } };
template <> struct bits<uint, half2> { static INLINE uint of(half2 a) { return a.word; } };
template <class To, class From> struct bits<metal::vec<To, 4>, metal::vec<From, 4>> {
    static INLINE metal::vec<To, 4> of(metal::vec<From, 4> a) {
        return metal::each<To>(a, [](From a) { return bits<To, From>::of(a); });
    }
};
template <class To, class From> struct bits<metal::vec<To, 2>, metal::vec<From, 2>> {
    static INLINE metal::vec<To, 2> of(metal::vec<From, 2> a) {
        return metal::each<To>(a, [](From a) { return bits<To, From>::of(a); });
    }
};
template <class To, class From> INLINE To as_type(From a) { return bits<To, From>::of(a); }

// An array whose length is the buffer's.
template <class T> struct unbounded {
    T first;
    INLINE T &operator[](uint i) { return (&first)[i]; }
    INLINE const T &operator[](uint i) const { return (&first)[i]; }
};
